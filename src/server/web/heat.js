// Heat maps: attention and position biases as canvases and as SVG.
import {h} from "./dom.js";

// Viridis (van der Walt and Smith 2015) and a diverging scale, at equal distances.
const RISING = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const DIVERGING = [[33, 102, 172], [146, 197, 222], [247, 247, 247], [244, 165, 130], [178, 24, 43]];

function colourOf(scale, share) {
  const place = Math.min(1, Math.max(0, share)) * (scale.length - 1);
  const from = Math.min(scale.length - 2, Math.floor(place)), rest = place - from;
  return scale[from].map((c, i) => Math.round(c + rest * (scale[from + 1][i] - c)));
}

/** Attention: 0 to the largest value of the map. Bias: symmetric about 0. */
export const attentionColour = (value, largest) => colourOf(RISING, largest > 0 ? value / largest : 0);
export const biasColour = (value, largest) => colourOf(DIVERGING, largest > 0 ? 0.5 + value / (2 * largest) : 0.5);

/** A canvas of rows of values, one pixel each; without a label it is hidden from screen readers. */
export function heatCanvas(rows, colour, label, largest = Math.max(...rows.flat().map(Math.abs))) {
  const canvas = h("canvas", {width: rows[0].length, height: rows.length, class: "small heat", ...(label ? {role: "img", "aria-label": label} : {"aria-hidden": "true"})});
  const context = canvas.getContext("2d");
  const data = context.createImageData(rows[0].length, rows.length);
  rows.flat().forEach((value, i) => data.data.set([...colour(value, largest), 255], 4 * i));
  context.putImageData(data, 0, 0);
  return canvas;
}

/** The keys of one head as rows of the window; `side` is its side. */
export const windowRows = (attention, side) => Array.from({length: side}, (_, row) => attention.slice(row * side, (row + 1) * side));

const escape = (text) => String(text).replace(/[&<>"]/g, (c) => ({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}[c]));

/** panels: [{title, rows}, ...] in rows of `columns`; an SVG document as text. */
export function heatSvg(title, panels, columns, colour) {
  const size = 96, gap = 14, head = 30, rowHeight = size + gap + 14;
  const width = 2 * gap + columns * (size + gap), height = head + Math.ceil(panels.length / columns) * rowHeight + gap;
  const parts = [`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`, `<text x="${gap}" y="20" font-size="13">${escape(title)}</text>`];
  panels.forEach(({title: name, rows}, i) => {
    const x = gap + (i % columns) * (size + gap), y = head + Math.floor(i / columns) * rowHeight + 12, cell = size / rows.length;
    const largest = Math.max(...rows.flat().map(Math.abs));
    parts.push(`<text x="${x}" y="${y - 2}" font-size="9">${escape(name)}</text><g shape-rendering="crispEdges">`);
    rows.forEach((row, r) => row.forEach((value, c) => {
      const [red, green, blue] = colour(value, largest);
      parts.push(`<rect x="${(x + c * cell).toFixed(2)}" y="${(y + r * cell).toFixed(2)}" width="${cell.toFixed(2)}" height="${cell.toFixed(2)}" fill="rgb(${red},${green},${blue})"/>`);
    }));
    parts.push("</g>");
  });
  parts.push("</svg>");
  return parts.join("\n");
}

/** Offers bytes or text as a file. */
export function save(name, content, type) {
  const url = URL.createObjectURL(new Blob([content], {type}));
  h("a", {href: url, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
