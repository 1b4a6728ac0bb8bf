// The sample page: settings in, images out; alone, as A and B, or along one setting.
import {api, cancel, follow, submit} from "./api.js";
import {h, picture, say} from "./dom.js";
import {showImage, tile, titleOf} from "./detail.js";
import {HowFields, WhichFields} from "./form.js";
import {settingsOf} from "./png.js";

const VARIED = {steps: "8, 18, 36", guidance: "1, 1.5, 2, 4", sampler: "heun, euler", model: "", eta: "0, 0.5, 1",
  churn: "0, 10, 40", sigma_max: "20, 80"};

/** Absolute difference of two images as a canvas, brightened so that the largest is white. */
async function differenceOf(a, b) {
  const load = async (url) => createImageBitmap(await (await fetch(url)).blob());
  const [one, two] = await Promise.all([load(a.url), load(b.url)]);
  const canvas = h("canvas", {width: one.width, height: one.height, role: "img", class: one.width < 129 ? "small" : ""});
  const context = canvas.getContext("2d", {willReadFrequently: true});
  const pixels = [one, two].map((bitmap) => {
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return context.getImageData(0, 0, canvas.width, canvas.height);
  });
  const out = pixels[0];
  let largest = 0, sum = 0;
  for (let i = 0; i < out.data.length; ++i) {
    if (i % 4 === 3) continue;
    out.data[i] = Math.abs(out.data[i] - pixels[1].data[i]);
    largest = Math.max(largest, out.data[i]);
    sum += out.data[i];
  }
  const scale = largest > 0 ? 255 / largest : 0;
  for (let i = 0; i < out.data.length; ++i) if (i % 4 !== 3) out.data[i] *= scale;
  context.putImageData(out, 0, 0);
  const mean = sum / (out.data.length * .75);
  canvas.setAttribute("aria-label", `difference of A and B, ${mean.toFixed(1)} of 255 on average`);
  return h("figure", {class: "frame"}, canvas, h("figcaption", {}, mean === 0 ? "equal" : `mean ${mean.toFixed(1)} of 255`));
}

export function samplePage(main, capabilities) {
  const which = new WhichFields(capabilities);
  const a = new HowFields(capabilities, (model) => which.offer(model));
  const b = new HowFields(capabilities);
  which.offer(a.current());
  const radio = (value, text, checked = false) => h("label", {class: "check"}, h("input", {type: "radio", name: "compare", value, checked}), text);
  const mode = h("fieldset", {}, h("legend", {}, "Compare"),
    radio("none", "nothing", true), radio("ab", "two settings, A and B"), radio("vary", "values of one setting"));
  const setB = h("fieldset", {hidden: true}, h("legend", {}, "Settings B"),
    h("button", {type: "button", click: () => b.set(a.get())}, "Copy from A"), b.element);
  const varied = h("select", {name: "varied", "aria-label": "Setting"}, Object.keys(VARIED).map((name) => h("option", {value: name}, name.replaceAll("_", " "))));
  const values = h("input", {type: "text", name: "values", autocomplete: "off", "aria-label": "Values", value: VARIED.steps});
  const setVary = h("fieldset", {hidden: true}, h("legend", {}, "Values to compare"),
    h("div", {class: "pair"}, varied, values),
    h("span", {class: "note"}, "A column for each value, with commas; a row for each seed."));
  const legend = h("legend", {}, "Settings");
  const go = h("button", {class: "main"}, "Sample");
  const stop = h("button", {type: "button", hidden: true}, "Cancel");
  const file = h("input", {type: "file", accept: "image/png", hidden: true});
  const form = h("form", {class: "panel", submit: (event) => { event.preventDefault(); run(); }},
    h("h1", {}, "Sample"),
    which.element, h("fieldset", {}, legend, a.element), mode, setB, setVary,
    h("div", {class: "row actions"}, go, stop,
      h("button", {type: "button", class: "plain", click: () => file.click()}, "From an image…"), file));
  const work = h("div", {class: "work", hidden: true});
  const results = h("section", {"aria-label": "Results"},
    h("p", {class: "empty"}, "Choose what to sample and press Sample. A PNG made by diffit that you drop on this page restores its settings."));
  main.replaceChildren(h("div", {class: "columns"}, form, h("div", {}, work, results)));

  const compare = () => form.elements.compare.value;
  mode.addEventListener("change", () => {
    setB.hidden = compare() !== "ab";
    setVary.hidden = compare() !== "vary";
    legend.textContent = compare() === "ab" ? "Settings A" : "Settings";
    if (compare() === "ab") b.set(a.get());
  });
  varied.addEventListener("change", () => {
    values.value = varied.value === "model" ? capabilities.models.map((m) => m.name).join(", ") : VARIED[varied.value];
  });
  file.addEventListener("change", () => { if (file.files[0]) restoreFile(file.files[0]); file.value = ""; });

  /** The columns that are asked for: a title and a specification each. */
  function columns() {
    const spec = {...a.get(), ...which.get()};
    if (compare() === "ab") return [{title: "A", spec}, {title: "B", spec: {...b.get(), ...which.get()}}];
    if (compare() !== "vary") return [{title: "", spec}];
    const name = varied.value;
    const list = values.value.split(",").map((value) => value.trim()).filter(Boolean);
    return list.map((text) => ({title: `${name.replaceAll("_", " ")} ${text}`,
      spec: {...spec, [name]: name === "sampler" || name === "model" ? text : Number(text)}}));
  }

  let jobs = [];
  async function run() {
    const wanted = columns();
    if (wanted.length === 0) { say("Give at least one value to compare.", true); return; }
    go.disabled = true;
    stop.hidden = false;
    work.hidden = false;
    jobs = [];
    a.mark(null);
    b.mark(null);
    const bar = h("progress", {max: 1, value: 0, "aria-label": "Progress"});
    const text = h("span", {class: "hint"}, "Waiting…");
    const preview = h("img", {class: "preview small", alt: "What the model expects so far", hidden: true});
    work.replaceChildren(bar, text, preview);
    results.querySelector(".empty")?.remove();
    if (work.getBoundingClientRect().top > innerHeight - 100) work.scrollIntoView({block: "start"});
    const began = performance.now();
    try {
      for (const column of wanted) jobs.push((await submit(column.spec)).id);
      const made = [];
      for (const [i, id] of jobs.entries()) {
        const label = wanted[i].title ? `${wanted[i].title}: ` : "";
        const job = await follow(id, {
          state: (state) => { if (state.state === "queued") text.textContent = `${label}waiting in the queue…`; },
          progress: (p) => {
            bar.value = (i + (p.total ? p.done / p.total : 0)) / jobs.length;
            text.textContent = `${label}${p.done} of ${p.total} evaluations`;
          },
          lost: () => { text.textContent = "The connection to the server was lost; trying again…"; },
          preview: (p) => { preview.src = p.url; preview.hidden = false; },
        });
        if (job.state === "failed") throw Object.assign(new Error(job.error.detail), {field: job.error.field});
        if (job.state === "cancelled") { say("Cancelled."); break; }
        for (const warning of job.result?.warnings ?? []) say(warning);
        made.push({...wanted[i], job, images: (await api(`api/v1/images?job=${id}&limit=500`)).images.reverse()});
        show(made);
      }
      if (made.length === jobs.length) {
        say(`${made.reduce((sum, column) => sum + column.images.length, 0)} images in ${((performance.now() - began) / 1000).toFixed(1)} s.`);
      }
    } catch (error) {
      say(error.message, true);
      if (!a.mark(error.field) && compare() === "ab") b.mark(error.field);
      for (const id of jobs) cancel(id).catch(() => {});
    } finally {
      go.disabled = false;
      stop.hidden = true;
      work.hidden = true;
    }
  }
  stop.addEventListener("click", () => { for (const id of jobs) cancel(id).catch(() => {}); });

  function show(made) {
    if (made.length === 1 && compare() === "none") {
      results.replaceChildren(h("ul", {class: "images"}, made[0].images.map((image) => h("li", {}, tile(image, () => showImage(image))))));
      return;
    }
    const both = made.length === 2 && compare() === "ab";
    const head = h("tr", {}, h("td", {}), made.map((column) => h("th", {scope: "col"}, column.title,
      h("span", {class: "note", style: "display:block;font-weight:400"}, `${column.job.result.evaluations} evaluations, ${column.job.result.seconds.toFixed(2)} s`))),
    both ? h("th", {scope: "col"}, "Difference") : null);
    const rows = made[0].images.map((first, i) => {
      const row = h("tr", {}, h("th", {scope: "row"}, titleOf(first)), made.map((column) => h("td", {}, column.images[i] ?
        h("button", {type: "button", class: "tile", "aria-label": `${column.title}, ${titleOf(column.images[i])}. Show details`,
          click: () => showImage(column.images[i])}, picture(column.images[i].url, "")) : null)));
      if (both && made[1].images[i]) {
        const cell = h("td", {});
        differenceOf(first, made[1].images[i]).then((figure) => cell.append(figure)).catch(() => {});
        row.append(cell);
      }
      return row;
    });
    results.replaceChildren(h("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": "Comparison"},
      h("table", {class: "compare"}, h("thead", {}, head), h("tbody", {}, rows))),
    h("p", {class: "hint"}, "Images of a row start from the same noise."));
  }

  function restore(settings, from) {
    const problem = a.set(settings);
    which.offer(a.current());
    which.set(settings);
    say(problem || `The settings of ${from} are restored.`, problem !== "");
  }
  async function restoreFile(dropped) {
    try { restore(await settingsOf(dropped), dropped.name); } catch (error) { say(error.message, true); }
  }

  const kept = sessionStorage.getItem("restore");
  if (kept && location.hash.includes("restore=")) {
    sessionStorage.removeItem("restore");
    restore(JSON.parse(kept), "the image");
  }
  return {drop: restoreFile};
}
