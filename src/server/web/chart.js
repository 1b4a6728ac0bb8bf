// A line chart as SVG, with a table of its values for those who do not see it.
import {format, h} from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const DASHES = ["", "6 3", "2 3", "8 3 2 3"];

function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Round values between two numbers, about `count` of them. */
function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const values = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step * 1e-9; v += step) values.push(Number(v.toPrecision(12)));
  return values;
}

const short = (v) => Math.abs(v) >= 1e6 ? `${Number((v / 1e6).toPrecision(3))}M` : Math.abs(v) >= 1e4 ? `${Number((v / 1e3).toPrecision(3))}k` : format(v);

/** lines: [{name, points: [[x, y], ...]}, ...], at most four. */
export function chart(title, xName, lines, log = false) {
  const width = innerWidth < 600 ? 380 : 640, height = innerWidth < 600 ? 240 : 300, left = 58, right = 22, top = 12, bottom = 40;
  const usable = lines.map((line) => ({...line, points: line.points.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y) && (!log || y > 0))}));
  const all = usable.flatMap((line) => line.points);
  if (all.length === 0) return h("p", {class: "hint"}, "No values yet.");
  const scale = log ? Math.log10 : (v) => v;
  const xs = all.map(([x]) => x), ys = all.map(([, y]) => scale(y));
  const x0 = Math.min(...xs), x1 = Math.max(...xs, x0 + 1), y0 = Math.min(...ys), y1 = Math.max(...ys, y0 + 1e-9);
  const px = (x) => left + (x - x0) / (x1 - x0) * (width - left - right);
  const py = (y) => height - bottom - (scale(y) - y0) / (y1 - y0) * (height - top - bottom);
  const root = svg("svg", {viewBox: `0 0 ${width} ${height}`, class: "plot", role: "img", "aria-label": `${title} over ${xName}`});
  const yTicks = log ? ticks(y0, y1, 5).map((v) => 10 ** v) : ticks(y0, y1, 5);
  for (const v of yTicks) {
    root.append(svg("line", {x1: left, x2: width - right, y1: py(v), y2: py(v), class: "rule"}),
      svg("text", {x: left - 6, y: py(v) + 4, "text-anchor": "end"}, short(Number(v.toPrecision(3)))));
  }
  for (const v of ticks(x0, x1, 5)) root.append(svg("text", {x: px(v), y: height - bottom + 16, "text-anchor": "middle"}, short(v)));
  root.append(svg("text", {x: (left + width) / 2, y: height - 6, "text-anchor": "middle"}, xName));
  usable.forEach((line, i) => {
    if (line.points.length === 1) root.append(svg("circle", {cx: px(line.points[0][0]), cy: py(line.points[0][1]), r: 3, class: `dot c${i % 4}`}));
    const path = svg("polyline", {points: line.points.map(([x, y]) => `${px(x).toFixed(1)},${py(y).toFixed(1)}`).join(" "), class: `line c${i % 4}`});
    if (DASHES[i % 4]) path.setAttribute("stroke-dasharray", DASHES[i % 4]);
    root.append(path);
  });
  const legend = h("ul", {class: "legend"}, usable.map((line, i) => {
    const sample = svg("svg", {viewBox: "0 0 30 10", width: 30, height: 10, "aria-hidden": "true"}, svg("polyline", {points: "0,5 30,5", class: `line c${i % 4}`, "stroke-dasharray": DASHES[i % 4]}));
    const last = line.points.at(-1);
    return h("li", {}, sample, `${line.name}${last ? `: ${format(last[1])} at ${short(last[0])}` : ""}`);
  }));
  return h("figure", {class: "frame"}, root, legend);
}

