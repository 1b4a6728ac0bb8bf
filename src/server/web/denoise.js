// The denoising page: one image, step by step; stop at a step and go on with other settings.
import {api, cancel, follow, submit} from "./api.js";
import {h, picture, say} from "./dom.js";
import {HowFields, WhichFields} from "./form.js";
import {settingsOf} from "./png.js";

const reduced = matchMedia("(prefers-reduced-motion: reduce)");

/** The path of one job: images by step, a slider over them, and the noise level as a curve. */
function pathView(title, job, steps, branch) {
  const frames = ["noisy", "estimate", "difference"].map((what) => {
    const img = picture("", "");
    return {what, img, figure: h("figure", {class: "frame"}, img,
      h("figcaption", {}, {noisy: "noisy state", estimate: "expected image", difference: "change since the last step"}[what]))};
  });
  const slider = h("input", {type: "range", min: 0, max: steps.length - 1, value: 0, step: 1, "aria-label": "Step"});
  const place = h("output", {});
  const play = h("button", {type: "button"}, "▶ Play");
  const show = () => {
    const step = steps[Number(slider.value)];
    const text = `step ${step.step + 1} of ${steps.length}, noise level ${step.sigma.toPrecision(3)}`;
    place.textContent = text;
    slider.setAttribute("aria-valuetext", text);
    for (const {what, img} of frames) {
      img.style.visibility = step[what] ? "visible" : "hidden";
      if (step[what]) img.src = step[what];
      img.alt = step[what] ? `${what} at ${text}` : "";
    }
  };
  let timer = 0;
  const halt = () => { clearInterval(timer); timer = 0; play.textContent = "▶ Play"; };
  play.addEventListener("click", () => {
    if (timer) { halt(); return; }
    if (Number(slider.value) === steps.length - 1) slider.value = 0;
    play.textContent = "❚❚ Pause";
    timer = setInterval(() => {
      if (!slider.isConnected || Number(slider.value) >= steps.length - 1) { halt(); return; }
      slider.value = Number(slider.value) + 1;
      show();
    }, reduced.matches ? 1000 : Math.max(80, 3000 / steps.length));
  });
  slider.addEventListener("input", show);
  for (const step of steps) for (const what of ["noisy", "estimate"]) new Image().src = step[what];
  show();
  const element = h("section", {class: "panel", style: "margin-bottom:1rem", "aria-label": title},
    h("h2", {}, title), h("div", {class: "frames"}, frames.map((frame) => frame.figure)),
    slider, h("div", {class: "row"}, place, h("span", {style: "flex:1"}), play,
      branch ? h("button", {type: "button", click: () => branch(job, steps[Number(slider.value)], steps.length)}, "Branch here…") : null));
  return element;
}

export function denoisePage(main, capabilities) {
  const which = new WhichFields(capabilities, true);
  const how = new HowFields(capabilities, (model) => which.offer(model));
  which.offer(how.current());
  const go = h("button", {class: "main"}, "Denoise");
  const stop = h("button", {type: "button", hidden: true}, "Cancel");
  const back = h("button", {type: "button", class: "plain", hidden: true}, "Start from noise instead");
  const note = h("p", {class: "note"});
  const form = h("form", {class: "panel", submit: (event) => { event.preventDefault(); run(); }},
    h("h1", {}, "Denoising"),
    h("p", {class: "hint"}, "Watch an image appear out of noise: at each step, the noisy state and the image that the model expects."),
    note, which.element, h("fieldset", {}, h("legend", {}, "Settings"), how.element), h("div", {class: "row actions"}, go, stop, back));
  const bar = h("progress", {max: 1, value: 0, hidden: true, "aria-label": "Progress"});
  const paths = h("div", {}, h("p", {class: "empty"}, "Choose a seed and a class and press Denoise."));
  main.replaceChildren(h("div", {class: "columns"}, form, h("div", {}, bar, paths)));

  let from = null, running = null, number = 0;
  function branchFrom(job, step, steps) {
    from = {job: job.id, step: step.step, image: 0, sigma: step.sigma};
    how.set({...job.spec, sigma_max: undefined, steps: Math.max(2, steps - step.step)});
    which.offer(how.current());
    which.set(job.spec);
    which.element.querySelector("input").disabled = true;
    note.textContent = `Branches at noise level ${step.sigma.toPrecision(3)}: change the class, the guidance or the steps that are left, then press Denoise.`;
    back.hidden = false;
    how.element.querySelector("select").focus();
    form.scrollIntoView({block: "nearest"});
  }
  back.addEventListener("click", () => {
    from = null;
    note.textContent = "";
    back.hidden = true;
    which.element.querySelector("input").disabled = false;
  });

  async function run() {
    const spec = {...how.get(), ...which.get(), keep_steps: true};
    if (from) {
      spec.branch = {job: from.job, step: from.step, image: 0};
      delete spec.sigma_max;
    }
    go.disabled = true;
    stop.hidden = false;
    bar.hidden = false;
    bar.value = 0;
    if (bar.getBoundingClientRect().top > innerHeight - 100) bar.scrollIntoView({block: "start"});
    how.mark(null);
    try {
      running = (await submit(spec)).id;
      const job = await follow(running, {progress: (p) => { bar.value = p.total ? p.done / p.total : 0; }});
      if (job.state === "failed") throw Object.assign(new Error(job.error.detail), {field: job.error.field});
      if (job.state === "cancelled") { say("Cancelled."); return; }
      const {steps} = await api(`api/v1/jobs/${job.id}/steps`);
      if (number++ === 0) paths.replaceChildren();
      const model = capabilities.models.find((m) => m.name === spec.model);
      const label = spec.classes ? model.class_names[spec.classes[0]] : "image";
      const title = `${number}: ${label}, seed ${job.spec.seeds[0]}, ${job.spec.sampler ?? model.sampler}` +
        (job.spec.guidance ? `, guidance ${job.spec.guidance}` : "") + (from ? `; branch at ${from.sigma.toPrecision(3)}` : "");
      const sigmas = capabilities.samplers.find((s) => s.name === (job.spec.sampler ?? model.sampler))?.sigmas;
      paths.prepend(pathView(title, job, steps, sigmas ? branchFrom : null));
      say("Done.");
    } catch (error) {
      say(error.message, true);
      how.mark(error.field);
    } finally {
      go.disabled = false;
      stop.hidden = true;
      bar.hidden = true;
    }
  }
  stop.addEventListener("click", () => { if (running) cancel(running).catch(() => {}); });

  function restore(settings) {
    const problem = how.set(settings);
    which.offer(how.current());
    which.set(settings);
    if (problem) say(problem, true);
  }
  const kept = sessionStorage.getItem("restore");
  if (kept && location.hash.includes("restore=")) {
    sessionStorage.removeItem("restore");
    restore(JSON.parse(kept));
    run();
  }
  return {drop: async (file) => { try { restore(await settingsOf(file)); } catch (error) { say(error.message, true); } }};
}
