// One model on the attention page: its images, layers by heads, measures and position bias.
import {api} from "./api.js";
import {chart} from "./chart.js";
import {format, h} from "./dom.js";
import {attentionColour, biasColour, heatCanvas, windowRows} from "./heat.js";

const FEW_HEADS = 4;
export const MEASURES = [["time_share", "share that time explains"], ["entropy", "entropy"], ["distance", "distance"],
  ["agreement", "agreement of heads"], ["on_time", "attention on the time token"]];
const SHARES = ["q", "k", "v", "scores"];
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
const percent = (value) => `${(100 * value).toFixed(1).replace(/^-0\.0$/, "0.0")} %`;

/** chosen: {layer, head, pixel: [y, x]}; `pick` is called with what changes of it. */
export class AttentionView {
  constructor(name, pick) {
    this.name = name;
    this.pick = pick;
    this.images = h("div", {class: "frames"});
    this.heads = h("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": `Layers and heads of ${name}`});
    this.numbers = h("div", {});
    this.bias = h("div", {class: "biases"});
    this.element = h("section", {class: "panel attention", "aria-label": name}, h("h2", {}, name), this.images,
      h("h3", {}, "Where the pixel looks"), h("p", {class: "note"}, "One row for each layer, one map for each head: the attention window of the pixel, brightest where it looks most; and the shares of q, k, v and of the scores that the time token explains."),
      this.heads, this.numbers, h("h3", {}, "Position bias of the layer"), h("p", {class: "note"}, "By place of the key relative to the query in the middle; blue lowers a score, red raises it."), this.bias);
  }

  show(found, chosen) {
    this.found = found;
    this.chosen = chosen;
    this.layer = found.layers.find((l) => l.name === chosen.layer) ?? found.layers[0];
    this.pixel = found.pixels.find((p) => p.layer === this.layer.name);
    this.head = Math.min(chosen.head, this.layer.heads - 1);
    this.drawImages();
    this.drawHeads();
    this.drawNumbers();
    this.drawBias();
  }

  drawImages() {
    const {found, layer, pixel} = this;
    const names = {clean: "image", noisy: "with noise", estimate: "expected image"};
    const frames = Object.keys(names).filter((what) => found[what]).map((what) => {
      const img = h("img", {src: found[what], alt: `${names[what]} at noise level ${format(found.sigma)}`});
      img.addEventListener("load", () => img.classList.toggle("small", img.naturalWidth < 129));
      const stack = h("div", {class: "stack"}, img);
      if (what === "clean") stack.append(this.overlay());
      stack.append(this.marker());
      stack.addEventListener("click", (event) => {
        const box = stack.getBoundingClientRect();
        this.pick({pixel: [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width].map((v) => Math.min(0.999999, Math.max(0, v)))});
      });
      return h("figure", {class: "frame"}, stack, h("figcaption", {}, what === "clean" ? `${names[what]}, with the attention of head ${this.head + 1}` : names[what]));
    });
    const focused = this.images.contains(document.activeElement);
    this.images.replaceChildren(...frames);
    if (frames.length === 0) this.images.append(h("p", {class: "hint"}, "This latent model has no autoencoder here: its images cannot be shown. Choose the pixel with the fields below."));
    const first = this.images.querySelector(".stack");
    if (!first) return;
    first.tabIndex = 0;
    first.setAttribute("role", "application");
    first.setAttribute("aria-label", `Pixel: row ${pixel.row + 1}, column ${pixel.column + 1} of ${layer.side} by ${layer.side} tokens of ${layer.name}. Arrow keys move it.`);
    first.addEventListener("keydown", (event) => {
      const step = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[event.key];
      if (!step) return;
      event.preventDefault();
      const to = [pixel.row + step[0], pixel.column + step[1]].map((v) => (Math.min(layer.side - 1, Math.max(0, v)) + 0.5) / layer.side);
      this.pick({pixel: to});
    });
    if (focused) first.focus();
  }

  /** The attention of the chosen head at its place on the image. */
  overlay() {
    const {layer, pixel} = this;
    const rows = windowRows(pixel.attention[this.head], layer.window);
    const canvas = heatCanvas(rows, attentionColour, "");
    canvas.className = "small overlay";
    const share = (v) => `${100 * v / layer.side}%`;
    canvas.style.cssText = `top:${share(pixel.top)};left:${share(pixel.left)};width:${share(layer.window)};height:${share(layer.window)}`;
    return canvas;
  }

  marker() {
    const {layer, pixel} = this;
    const share = (v) => `${100 * v / layer.side}%`;
    return h("span", {class: "marker", "aria-hidden": "true", style: `top:${share(pixel.row)};left:${share(pixel.column)};width:${share(1)};height:${share(1)}`});
  }

  drawHeads() {
    const focused = this.heads.contains(document.activeElement) && document.activeElement.tagName === "BUTTON";
    const most = Math.max(...this.found.layers.map((l) => l.heads));
    const head = h("tr", {}, h("th", {scope: "col"}, "layer"), Array.from({length: most}, (_, i) => h("th", {scope: "col"}, `head ${i + 1}`)),
      SHARES.map((name) => h("th", {scope: "col", title: `share of ${name} that time explains`}, `time in ${name}`)));
    const rows = this.found.layers.map((layer) => {
      const pixel = this.found.pixels.find((p) => p.layer === layer.name);
      const cells = pixel.attention.map((keys, i) => {
        const current = layer.name === this.layer.name && i === this.head;
        const rest = layer.time_key ? `, ${percent(keys.at(-1))} on the time token` : "";
        const label = `${layer.name}, head ${i + 1}: at most ${percent(Math.max(...keys))} on one token${rest}`;
        const button = h("button", {type: "button", class: "cell", "aria-label": label, title: label, "aria-pressed": String(current), click: () => this.pick({layer: layer.name, head: i})},
          heatCanvas(windowRows(keys, layer.window), attentionColour, ""));
        button.tabIndex = current ? 0 : -1;
        return h("td", {}, button);
      });
      while (cells.length < most) cells.push(h("td", {}));
      const share = pixel.measures?.time_share;
      return h("tr", {}, h("th", {scope: "row"}, layer.name, h("span", {class: "note"}, `${layer.side}×${layer.side}, window ${layer.window}`)), cells,
        SHARES.map((name) => h("td", {class: "shares"}, share ? percent(share[name]) : "")));
    });
    const table = h("table", {class: "heads"}, h("thead", {}, head), h("tbody", {}, rows));
    table.addEventListener("keydown", (event) => {
      const step = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[event.key];
      if (!step) return;
      event.preventDefault();
      const at = this.found.layers.indexOf(this.layer) + step[0];
      const layer = this.found.layers[Math.min(this.found.layers.length - 1, Math.max(0, at))];
      this.pick({layer: layer.name, head: Math.min(layer.heads - 1, Math.max(0, this.head + step[1]))});
    });
    const left = this.heads.scrollLeft;
    this.heads.replaceChildren(table);
    this.heads.scrollLeft = left;
    if (focused) this.heads.querySelector("[aria-pressed=true]")?.focus();
  }

  drawNumbers() {
    const m = this.pixel.measures;
    if (!m) { this.numbers.replaceChildren(); return; }
    const all = h("table", {class: "numbers"}, h("thead", {}, h("tr", {}, ["head", "entropy (nats)", "distance (tokens)", "agreement", ...(this.layer.time_key ? ["on time"] : [])].map((t) => h("th", {scope: "col"}, t)))),
      h("tbody", {}, m.entropy.map((entropy, i) => h("tr", {}, h("th", {scope: "row"}, String(i + 1)),
        [entropy, m.distance[i], m.agreement[i], ...(this.layer.time_key ? [m.on_time[i]] : [])].map((v) => h("td", {}, v.toFixed(3)))))));
    this.numbers.replaceChildren(h("h3", {}, `Heads of ${this.layer.name} at noise level ${format(this.found.sigma)}`),
      h("p", {class: "note"}, `Means over all pixels. Entropy is at most ln ${this.layer.window ** 2 + (this.layer.time_key ? 1 : 0)} = ${Math.log(this.layer.window ** 2 + (this.layer.time_key ? 1 : 0)).toFixed(2)}.`), h("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": "Measures by head"}, all));
  }

  drawBias() {
    const {layer, found} = this;
    if (!layer.bias || found.layer !== layer.name) {
      this.bias.replaceChildren(h("p", {class: "hint"}, layer.bias ? "…" : "This layer has no position bias."));
      return;
    }
    const largest = Math.max(...found.bias.flat(2).map(Math.abs));
    this.bias.replaceChildren(...found.bias.map((rows, i) => h("figure", {class: "frame"},
      heatCanvas(rows, biasColour, `head ${i + 1}: from ${Math.min(...rows.flat()).toFixed(2)} to ${Math.max(...rows.flat()).toFixed(2)}`, largest),
      h("figcaption", {}, `head ${i + 1}`))), h("p", {class: "note"}, `−${largest.toFixed(2)} (blue) to ${largest.toFixed(2)} (red)`));
  }
}

/** Curves of one measure over the noise level, from the answers of api/v1/attention/curves by name of the model. */
export function curveLines(answers, layer, measure) {
  const lines = [];
  for (const [name, answer] of answers) {
    const prefix = answers.length > 1 ? `${name}: ` : "";
    const points = (value) => answer.sigmas.map((sigma, i) => {
      const found = answer.levels[i].find((l) => l.layer === layer) ?? answer.levels[i][0];
      return [Math.log10(sigma), value(found.measures)];
    });
    const heads = answer.levels[0].find((l) => l.layer === layer)?.measures.entropy.length ?? 1;
    if (measure === "time_share") for (const what of SHARES) lines.push({name: prefix + what, points: points((m) => m.time_share[what])});
    else if (heads > FEW_HEADS || answers.length > 1) lines.push({name: `${prefix}mean of heads`, points: points((m) => mean(m[measure]))});
    else for (let i = 0; i < heads; ++i) lines.push({name: `head ${i + 1}`, points: points((m) => m[measure][i])});
  }
  return lines;
}

export const curvesChart = (answers, layer, measure) =>
  chart(MEASURES.find(([name]) => name === measure)[1], "log10 of the noise level", curveLines(answers, layer, measure));

export const look = (spec) => api("api/v1/attention", "POST", spec);
