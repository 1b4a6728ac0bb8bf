// The training page: runs of a folder, live and past; curves of up to four side by side, samples by snapshot.
import {api} from "./api.js";
import {chart} from "./chart.js";
import {h, say} from "./dom.js";

const MOST = 4, REFRESH = 5000;
const since = (seconds) => seconds < 90 ? `${Math.round(seconds)} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min` :
  seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;

export async function trainPage(main) {
  const list = h("ul", {class: "runs"});
  const results = h("div", {});
  const metric = h("select", {"aria-label": "Curve"});
  const log = h("input", {type: "checkbox", checked: true});
  const chosen = new Set();
  let details = new Map(), shown = "", place = Infinity;
  main.replaceChildren(h("h1", {}, "Training"), h("p", {class: "hint"}, "Trainings in the folder of runs; a running one is updated every few seconds."),
    h("div", {class: "columns"}, h("div", {class: "panel"}, h("h2", {}, "Runs"), list), results));

  async function refresh() {
    const {runs, folder} = await api("api/v1/runs");
    if (runs.length === 0) {
      list.replaceChildren(h("li", {class: "hint"}, `There is no training in the folder ${folder}. diffit train PRESET --out ${folder}/NAME makes one; --runs of diffit serve names another folder.`));
      return;
    }
    if (chosen.size === 0) chosen.add(runs[0].name);
    const key = JSON.stringify(runs);
    if (key !== shown) {
      shown = key;
      const focused = document.activeElement?.value;
      list.replaceChildren(...runs.map((run) => {
        const box = h("input", {type: "checkbox", name: "run", value: run.name, checked: chosen.has(run.name)});
        box.addEventListener("change", () => {
          if (box.checked && chosen.size >= MOST) { box.checked = false; say(`At most ${MOST} runs are compared.`, true); return; }
          if (box.checked) chosen.add(run.name); else chosen.delete(run.name);
          load().catch((error) => say(error.message, true));
        });
        const age = Date.now() / 1000 - run.updated;
        const share = run.planned ? ` of ${run.planned.toLocaleString()}` : "";
        return h("li", {}, h("label", {}, box, h("span", {}, h("b", {}, run.name),
          h("span", {class: "note"}, `${run.images.toLocaleString()}${share} images${run.loss === null ? "" : `, loss ${run.loss.toPrecision(4)}`}`),
          h("span", {class: "note"}, age < 120 && run.images !== run.planned ? "running" : `last written ${since(age)} ago`))));
      }));
      for (const box of list.querySelectorAll("input")) if (box.value === focused) box.focus();
      await load();
    }
  }

  async function load() {
    const names = [...chosen];
    details = new Map(await Promise.all(names.map(async (name) => [name, await api(`api/v1/runs/${encodeURIComponent(name)}`)])));
    const keys = new Set();
    for (const run of details.values()) {
      for (const point of run.points) for (const [key, value] of Object.entries(point)) if (key !== "images" && typeof value === "number") keys.add(key);
      for (const score of run.scores) for (const [key, value] of Object.entries(score.eval)) if (typeof value === "number") keys.add(`eval: ${key}`);
    }
    const before = metric.value || "loss";
    metric.replaceChildren(...[...keys].map((key) => h("option", {value: key}, key.replaceAll("_", " "))));
    metric.value = keys.has(before) ? before : [...keys][0] ?? "";
    draw();
  }

  function draw() {
    const key = metric.value;
    const lines = [...details].map(([name, run]) => ({name, points: key.startsWith("eval: ") ?
      run.scores.map((s) => [s.images, s.eval[key.slice(6)]]) : run.points.map((p) => [p.images, p[key]])}));
    const snapshots = [...new Set([...details.values()].flatMap((run) => run.grids.map((g) => g.images)))].sort((a, b) => a - b);
    const grids = h("div", {class: "grids"});
    const slider = h("input", {type: "range", min: 0, max: Math.max(0, snapshots.length - 1), step: 1, value: Math.min(place, snapshots.length - 1), "aria-label": "Snapshot"});
    const text = h("output", {});
    const show = () => {
      const images = snapshots[Number(slider.value)];
      text.textContent = `after ${images.toLocaleString()} images`;
      slider.setAttribute("aria-valuetext", text.textContent);
      grids.replaceChildren(...[...details].map(([name, run]) => {
        const grid = run.grids.filter((g) => g.images <= images).at(-1);
        return h("figure", {class: "frame"}, grid ? h("img", {src: grid.url, alt: `Samples of ${name} after ${grid.images} images`, class: "small"}) : h("p", {class: "hint"}, "no samples yet"),
          h("figcaption", {}, grid && grid.images !== images ? `${name}, after ${grid.images.toLocaleString()}` : name));
      }));
    };
    slider.addEventListener("input", () => { place = Number(slider.value) === snapshots.length - 1 ? Infinity : Number(slider.value); show(); });
    results.replaceChildren(...[
      h("section", {class: "panel", "aria-label": "Curves"}, h("div", {class: "row"}, h("h2", {style: "margin:0"}, "Curves"), h("span", {style: "flex:1"}),
        h("div", {style: "flex:0 1 14rem"}, metric), h("label", {class: "check"}, log, "logarithmic")), chart(key, "images", lines, log.checked)),
      snapshots.length ? h("section", {class: "panel", style: "margin-top:1rem", "aria-label": "Samples"}, h("h2", {}, "Samples of the EMA weights, fixed seeds"), slider, text, grids) : null,
      ...[...details].map(([name, run]) => h("details", {style: "margin-top:.5rem"}, h("summary", {}, `Configuration of ${name}`), h("pre", {tabindex: "0"}, run.config)))].filter(Boolean));
    if (snapshots.length) show();
  }

  metric.addEventListener("change", draw);
  log.addEventListener("change", draw);
  await refresh();
  const timer = setInterval(() => {
    if (!list.isConnected) clearInterval(timer);
    else if (!document.hidden) refresh().catch(() => {});
  }, REFRESH);
}
