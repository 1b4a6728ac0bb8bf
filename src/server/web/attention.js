// The attention page: where a pixel looks, over layers, heads and noise levels; what changes if time, bias or heads change.
import {api} from "./api.js";
import {AttentionView, MEASURES, curvesChart, look} from "./attentionview.js";
import {h, picture, say} from "./dom.js";
import {attentionColour, heatSvg, save, windowRows} from "./heat.js";

const LARGEST_UPLOAD = 700000, UPLOAD_SIDE = 512, STEPS = 100;
let fields = 0;

function field(label, control, note) {
  control.id = `a${++fields}`;
  return h("div", {class: "field"}, h("label", {for: control.id}, label), control, note ? h("span", {class: "note"}, note) : null);
}

/** The bytes of an image in Base64, reduced where they are too many for a request. */
async function base64Of(file) {
  let blob = file;
  if (file.size > LARGEST_UPLOAD) {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, UPLOAD_SIDE / Math.min(bitmap.width, bitmap.height));
    const canvas = h("canvas", {width: Math.round(bitmap.width * scale), height: Math.round(bitmap.height * scale)});
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95));
  }
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}

export async function attentionPage(main, capabilities) {
  const {models} = await api("api/v1/attention/models");
  const served = models.filter((m) => m.run === null), series = new Map();
  for (const m of models) {
    if (m.run === null) continue;
    const name = `${m.run}${m.weights ? `, ${m.weights}` : ""}`;
    if (!series.has(name)) series.set(name, []);
    series.get(name).push(m);
  }

  /** A choice of a model: a served one, or a training with a slider over its snapshots. */
  function modelChoice(label, none) {
    const select = h("select", {name: none ? "against" : "model"}, none ? h("option", {value: ""}, "nothing") : null,
      served.map((m) => h("option", {value: m.name}, m.name)),
      series.size ? h("optgroup", {label: "Trainings"}, [...series.keys()].map((name) => h("option", {value: `series:${name}`}, name))) : null);
    const slider = h("input", {type: "range", min: 0, step: 1, value: 0, "aria-label": `Snapshot of ${label}`});
    const text = h("output", {});
    const place = h("div", {hidden: true}, slider, text);
    const snapshots = () => series.get(select.value.slice(7)) ?? [];
    const current = () => select.value.startsWith("series:") ? snapshots()[Number(slider.value)]?.name : select.value;
    const show = () => {
      const all = snapshots();
      place.hidden = all.length < 1;
      if (all.length) text.textContent = `after ${all[Number(slider.value)].images.toLocaleString()} images`;
      slider.setAttribute("aria-valuetext", text.textContent);
    };
    select.addEventListener("change", () => { slider.max = Math.max(0, snapshots().length - 1); slider.value = slider.max; show(); changedModel(); });
    slider.addEventListener("input", () => { show(); soon(); });
    const title = () => !select.value.startsWith("series:") ? select.value : `${select.value.slice(7)}, ${text.textContent}`;
    const choose = (name) => { if (served.some((m) => m.name === name)) select.value = name; };
    return {element: h("div", {}, field(label, select), place), current, title, choose};
  }

  const modelA = modelChoice("Model", false), modelB = modelChoice("Compare with", true);
  const seed = h("input", {type: "number", name: "seed", min: 0, step: 1, value: 0, inputmode: "numeric"});
  const label = h("select", {name: "class"});
  const labelField = field("Class", label);
  const file = h("input", {type: "file", name: "image", accept: "image/png,image/jpeg,image/webp"});
  const own = h("button", {type: "button", hidden: true, click: () => { upload = null; file.value = ""; own.hidden = true; soon(); }}, "Use the model's own sample");
  const sigma = h("input", {type: "range", name: "sigma", min: 0, max: STEPS, step: 1, value: STEPS / 2});
  const sigmaText = h("output", {});
  const layer = h("select", {name: "layer"});
  const busy = h("p", {class: "hint", role: "status"}, "");
  const form = h("form", {class: "panel", submit: (event) => { event.preventDefault(); refresh(); }},
    h("h1", {}, "Attention"),
    h("p", {class: "hint"}, "Click a pixel of an image: every layer and head shows where it looks. Noise is added to an image of the model, or to one of yours."),
    modelA.element, modelB.element,
    h("div", {class: "pair"}, field("Seed", seed), labelField),
    field("Your own image", file, "The centred square is brought to the model's size."), own,
    h("div", {class: "field"}, field("Noise level", sigma), sigmaText),
    field("Layer", layer), busy);
  const views = h("div", {class: "views"});
  const curveMetric = h("select", {"aria-label": "Curve"}, MEASURES.map(([value, text]) => h("option", {value}, text)));
  const curves = h("div", {}, h("p", {class: "hint"}, "Measures of the layer over eight noise levels."));
  const curvesPanel = h("section", {class: "panel", "aria-label": "Curves"}, h("div", {class: "row"}, h("h2", {style: "margin:0"}, "Over the noise level"),
    h("span", {style: "flex:1"}), h("div", {style: "flex:0 1 16rem"}, curveMetric), h("button", {type: "button", click: () => measure()}, "Measure")), curves);
  const change = changePanel();
  const exports = h("section", {class: "panel", "aria-label": "Export"}, h("h2", {}, "Export"), h("div", {class: "row"},
    h("button", {type: "button", click: () => exportSvg()}, "Maps as SVG"), h("button", {type: "button", click: () => exportNpz()}, "Layer as npz"),
    h("span", {class: "note"}, "npz: q, k, v, bias and attention of the whole layer, for NumPy.")));
  main.replaceChildren(h("div", {class: "columns"}, form, h("div", {class: "inner"}, views, curvesPanel, change.element, exports)));

  const chosen = {layer: "", head: 0, pixel: [0.5, 0.5]};
  let upload = null, range = [0.01, 80], answers = [], measured = null, timer = 0, running = false, again = false;
  const level = () => range[0] * (range[1] / range[0]) ** (Number(sigma.value) / STEPS);

  function spec(model) {
    const out = {model, seed: Math.max(0, Math.round(Number(seed.value) || 0)), sigma: level(), pixel: chosen.pixel};
    if (!labelField.hidden) out.class = Number(label.value) < 0 ? null : Number(label.value) || 0;
    if (upload) out.image = upload;
    if (chosen.layer) out.layer = chosen.layer;
    return out;
  }
  const wanted = () => [modelA, modelB].filter((m) => m.current()).map((m) => [m.title(), m.current()]);

  function offerClasses(names) {
    labelField.hidden = names.length === 0;
    const before = label.value;
    const all = upload ? [["-1", "no class"], ...names.map((name, i) => [String(i), name])] : names.map((name, i) => [String(i), name]);
    if (label.options.length === all.length && all.every(([, text], i) => label.options[i].textContent === text)) return;
    label.replaceChildren(...all.map(([value, text]) => h("option", {value}, text)));
    label.value = all.some(([value]) => value === before) ? before : "0";
  }

  async function refresh() {
    if (running) { again = true; return; }
    running = true;
    const slow = setTimeout(() => { busy.textContent = "Evaluating…"; }, 300);
    try {
      do {
        again = false;
        const list = wanted();
        const found = [];
        for (const [, model] of list) {
          const ask = spec(model);
          // Layers differ between models: a layer that a model does not have is its first one.
          const known = answers.find((a) => a.model === model)?.layers;
          if (known && !known.some((l) => l.name === ask.layer)) delete ask.layer;
          found.push(await look(ask).catch((error) => {
            if (error.field !== "layer") throw error;
            delete ask.layer;
            return look(ask);
          }));
        }
        if (!again) show(list, found);
      } while (again);
    } catch (error) {
      say(error.message, true);
    } finally {
      running = false;
      clearTimeout(slow);
      busy.textContent = "";
    }
  }

  let shown = [];
  function show(list, found) {
    answers = found;
    const first = found[0];
    if (!first.layers.some((l) => l.name === chosen.layer)) chosen.layer = first.layers[0].name;
    const known = [Math.max(0.01, first.sigma_range[0]), first.sigma_range[1]];
    if (known.some((v, i) => v !== range[i])) {  // another model: the slider stays at the noise level that is shown
      range = known;
      sigma.value = Math.round(STEPS * Math.log(first.sigma / range[0]) / Math.log(range[1] / range[0]));
    }
    if (layer.dataset.model !== first.model) {
      layer.dataset.model = first.model;
      layer.replaceChildren(...first.layers.map((l) => h("option", {value: l.name}, `${l.name} (${l.heads} heads)`)));
    }
    layer.value = chosen.layer;
    offerClasses(first.class_names);
    tellLevel(first.sigma);
    const key = list.map(([name]) => name);
    if (key.join("\n") !== shown.map((v) => v.name).join("\n")) {
      shown = key.map((name) => new AttentionView(name, pick));
      views.replaceChildren(...shown.map((v) => v.element));
      views.classList.toggle("two", shown.length > 1);
    }
    shown.forEach((view, i) => view.show(found[i], chosen));
    change.offer(first);
    drawCurves();
  }

  function tellLevel(value = level()) {
    sigmaText.textContent = `${value.toPrecision(3)} (standard deviation; pixels are −1 to 1)`;
    sigma.setAttribute("aria-valuetext", value.toPrecision(3));
  }

  function pick(what) {
    Object.assign(chosen, what);
    if (what.layer && what.layer !== layer.value) layer.value = what.layer;
    if (answers.length) shown.forEach((view, i) => { if (!what.pixel) view.show(answers[i], chosen); });
    if (what.pixel || what.layer) refresh();
    drawCurves();
    if (answers.length) change.offer(answers[0]);
  }
  function soon() {
    clearTimeout(timer);
    timer = setTimeout(refresh, 120);
  }
  function changedModel() {
    chosen.layer = "";
    measured = null;
    curves.replaceChildren(h("p", {class: "hint"}, "Measures of the layer over eight noise levels."));
    refresh();
  }

  sigma.addEventListener("input", () => { tellLevel(); soon(); });
  seed.addEventListener("change", soon);
  label.addEventListener("change", soon);
  layer.addEventListener("change", () => pick({layer: layer.value, head: 0}));
  curveMetric.addEventListener("change", drawCurves);
  file.addEventListener("change", () => { if (file.files[0]) take(file.files[0]); });
  async function take(image) {
    try {
      upload = await base64Of(image);
      own.hidden = false;
      soon();
    } catch {
      say(`${image.name} cannot be read as an image.`, true);
    }
  }

  async function measure() {
    const low = Math.max(range[0], 0.02), high = Math.min(range[1], 20);
    curves.replaceChildren(h("p", {class: "hint"}, "Measuring…"));
    try {
      measured = [];
      for (const [name, model] of wanted()) {
        const {pixel, sigma: unused, ...ask} = spec(model);
        delete ask.layer;
        measured.push([name, await api("api/v1/attention/curves", "POST", {...ask, levels: 8, sigma_min: low, sigma_max: high})]);
      }
      drawCurves();
    } catch (error) {
      measured = null;
      curves.replaceChildren(h("p", {class: "bad"}, error.message));
    }
  }
  function drawCurves() {
    if (measured) curves.replaceChildren(h("h3", {}, chosen.layer), curvesChart(measured, chosen.layer, curveMetric.value));
  }

  function changePanel() {
    const scope = h("select", {name: "scope"}, h("option", {value: "layer"}, "this layer"), h("option", {value: "all"}, "every layer"));
    const time = h("input", {type: "checkbox", name: "time"}), bias = h("input", {type: "checkbox", name: "bias"});
    const timeLevel = h("input", {type: "number", name: "time_sigma", step: "any", min: 0, value: 20, inputmode: "decimal", "aria-label": "Noise level that the layer is told"});
    const steps = h("input", {type: "number", name: "steps", step: 1, min: 0, max: 100, value: 8, inputmode: "numeric"});
    const heads = h("div", {class: "chips", role: "group", "aria-label": "Heads that are switched off"});
    const out = h("div", {});
    const go = h("button", {type: "button", class: "main", click: () => run()}, "Compare");
    const title = h("span", {});
    let offered = "";
    const offer = (found) => {
      const current = found.layers.find((l) => l.name === chosen.layer) ?? found.layers[0];
      bias.disabled = !current.bias && scope.value === "layer";
      if (offered === `${found.model} ${current.name}`) return;
      offered = `${found.model} ${current.name}`;
      title.textContent = current.name;
      heads.replaceChildren(...Array.from({length: current.heads}, (_, i) => h("label", {}, h("input", {type: "checkbox", name: "head", value: i}), `head ${i + 1}`)));
      headsField.hidden = scope.value === "all";
    };
    const headsField = h("div", {class: "field"}, h("div", {class: "note"}, "Switch off"), heads);
    scope.addEventListener("change", () => { headsField.hidden = scope.value === "all"; if (answers.length) offer(answers[0]); });
    async function run() {
      const made = {};
      if (scope.value === "layer") made.layer = chosen.layer;
      if (time.checked) made.time_sigma = Number(timeLevel.value);
      if (bias.checked && !bias.disabled) made.zero_bias = true;
      const off = [...heads.querySelectorAll(":checked")].map((box) => Number(box.value));
      if (off.length && scope.value === "layer") made.heads_off = off;
      go.disabled = true;
      out.replaceChildren(h("p", {class: "hint"}, "Evaluating…"));
      try {
        const results = [];
        for (const [name, model] of wanted()) {
          const {pixel, ...ask} = spec(model);
          delete ask.layer;
          const count = label.value === "-1" ? 0 : Number(steps.value) || 0;
          results.push([name, await api("api/v1/attention/counterfactual", "POST", {...ask, change: made, steps: count})]);
        }
        out.replaceChildren(...results.flatMap(([name, c]) => [h("h3", {}, name),
          row("expected image", c.estimate, c.changed, c.difference), c.sample ? row("whole sample", c.sample, c.changed_sample, c.sample_difference) : null]).filter(Boolean));
      } catch (error) {
        out.replaceChildren(h("p", {class: "bad"}, error.message));
      } finally {
        go.disabled = false;
      }
    }
    const row = (what, before, after, difference) => h("div", {}, h("div", {class: "frames changes"},
      before ? [h("figure", {class: "frame"}, picture(before, `${what} as it is`), h("figcaption", {}, `${what}, as it is`)),
        h("figure", {class: "frame"}, picture(after, `${what} with the change`), h("figcaption", {}, "with the change"))] : null),
    h("p", {class: "difference"}, `${what}: differs by ${(100 * difference).toFixed(2)} % of its norm.`));
    const element = h("section", {class: "panel inner", "aria-label": "What if"}, h("h2", {}, "What if"),
      h("p", {class: "hint"}, "The same noise, with one thing changed: what depends on it?"),
      h("div", {class: "pair"}, field("Change", scope), h("div", {class: "field"}, h("div", {class: "note"}, "Layer"), title)),
      h("label", {class: "check"}, time, "it is told the noise level", h("span", {style: "flex:0 0 6rem"}, timeLevel)),
      h("label", {class: "check"}, bias, "its position bias is zero"), headsField,
      field("Steps of a whole sample", steps, "0: only the expected image."), h("div", {class: "row"}, go), out);
    return {element, offer};
  }

  function exportSvg() {
    const found = answers[0];
    if (!found) return;
    const panels = found.layers.flatMap((l) => {
      const pixel = found.pixels.find((p) => p.layer === l.name);
      return found.layers.length * l.heads * l.window ** 2 > 40000 && l.name !== chosen.layer ? [] :
        pixel.attention.map((keys, i) => ({title: `${l.name}, head ${i + 1}`, rows: windowRows(keys, l.window)}));
    });
    const pixel = found.pixels.find((p) => p.layer === chosen.layer);
    save("attention.svg", heatSvg(`${found.model}, noise level ${found.sigma.toPrecision(4)}, seed ${seed.value}, token ${pixel.row}, ${pixel.column} of ${chosen.layer}`,
      panels, Math.min(8, Math.max(...found.layers.map((l) => l.heads))), attentionColour), "image/svg+xml");
    say("Saved attention.svg.");
  }
  async function exportNpz() {
    try {
      const reply = await fetch("api/v1/attention/npz", {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(spec(modelA.current()))});
      if (!reply.ok) throw new Error((await reply.json()).detail);
      save("attention.npz", await reply.blob(), "application/zip");
      say("Saved attention.npz.");
    } catch (error) {
      say(error.message, true);
    }
  }

  // An image of the gallery: its model, class and seed, and the image itself.
  const from = /[?&]restore=(\d+)\./.exec(location.hash), kept = sessionStorage.getItem("restore");
  const settings = from && kept ? JSON.parse(kept) : null;
  if (settings) {
    sessionStorage.removeItem("restore");
    modelA.choose(settings.model);
    seed.value = settings.seeds?.[0] ?? 0;
    upload = await base64Of(await (await fetch(`api/v1/images/${from[1]}/png`)).blob());
    own.hidden = false;
  }
  const limit = capabilities.models.find((m) => m.name === modelA.current());
  offerClasses(limit?.class_names ?? []);
  if (settings?.classes?.length) label.value = String(settings.classes[0]);
  tellLevel();
  refresh();
  return {drop: take};
}
