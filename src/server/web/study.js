// The page of a rater: one question after the other, two images each.
import {h, picture, say} from "./dom.js";

const main = document.getElementById("main");
const link = location.hash.slice(1);
let state = null, shown = 0, busy = false;

async function ask(path, body) {
  const options = body ? {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)} : {};
  const reply = await fetch(`api/v1/study/${encodeURIComponent(link)}${path}`, options);
  const data = await reply.json();
  if (!reply.ok) throw new Error(data.detail);
  return data;
}

const loaded = (img) => img.complete && img.naturalWidth ? null : new Promise((resolve, reject) => {
  img.addEventListener("load", resolve);
  img.addEventListener("error", () => reject(new Error("An image could not be loaded.")));
});

async function show() {
  if (!state.trial) {
    main.replaceChildren(h("h1", {}, "Thank you"), h("p", {}, `You have answered all ${state.total} questions. Every answer is kept; you may close this page.`));
    return;
  }
  const sides = ["left", "right"].map((side) => {
    const img = picture(state.trial[side], `${side} image`);
    img.loading = "eager";
    return {side, img, button: h("button", {type: "button", class: "choice", disabled: true, "aria-label": `The ${side} image`, click: () => choose(side)}, img)};
  });
  main.replaceChildren(h("h1", {}, state.question),
    h("p", {class: "hint"}, "Click the image, or press the left or right arrow key. You may stop and go on later by the same link."),
    h("div", {class: "choices"}, sides.map((s) => s.button)),
    h("p", {class: "note"}, `Question ${state.done + 1} of ${state.total}`), h("progress", {max: state.total, value: state.done, "aria-label": "Questions answered"}));
  await Promise.all(sides.map((s) => loaded(s.img)));
  for (const {button} of sides) button.disabled = false;
  shown = performance.now();
  busy = false;
}

async function choose(side) {
  if (busy || !state?.trial) return;
  busy = true;
  const seconds = (performance.now() - shown) / 1000;
  for (let wait = 500; ; wait = Math.min(8000, 2 * wait)) {
    try {
      state = await ask("/answers", {trial: state.trial.number, side, seconds});
      await show();
      return;
    } catch (error) {
      // The answer is not lost: it is sent again until the server has it.
      say(`${error.message} Trying again…`, true);
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

addEventListener("keydown", (event) => {
  const side = {ArrowLeft: "left", ArrowRight: "right"}[event.key];
  if (!side || event.repeat) return;
  event.preventDefault();
  if (!main.querySelector(".choice:disabled")) choose(side);
});

try {
  if (!link) throw new Error("This address is not complete: open the whole link that you were given.");
  state = await ask("");
  await show();
} catch (error) {
  main.replaceChildren(h("h1", {}, "Image study"), h("p", {class: "bad"}, error.message));
}
