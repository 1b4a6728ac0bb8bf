// The frame: pages by the part of the address after '#', theme, images dropped on the window.
import {api, useTokenOfAddress} from "./api.js";
import {h, say} from "./dom.js";
import {attentionPage} from "./attention.js";
import {denoisePage} from "./denoise.js";
import {galleryPage} from "./gallery.js";
import {samplePage} from "./sample.js";
import {trainPage} from "./train.js";

const pages = {sample: ["Sample", samplePage], denoise: ["Denoise", denoisePage], attention: ["Attention", attentionPage], gallery: ["Gallery", galleryPage], train: ["Training", trainPage]};
const main = document.getElementById("main");
let capabilities = null, page = null;

async function open() {
  const name = (/^#\/([a-z]+)/.exec(location.hash) ?? [])[1];
  const [title, make] = pages[name] ?? pages.sample;
  document.title = `${title} – diffit studio`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.textContent === title) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  try {
    capabilities ??= await api("api/v1/capabilities");
    page = await make(main, capabilities);
  } catch (error) {
    main.replaceChildren(h("p", {class: "bad"}, error.message));
  }
}

const theme = document.getElementById("theme");
function setTheme(name) {
  if (name) document.documentElement.dataset.theme = name;
}
theme.addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const next = dark === "dark" ? "light" : "dark";
  localStorage.setItem("theme", next);
  setTheme(next);
});
setTheme(localStorage.getItem("theme"));

let over = 0;
addEventListener("dragenter", () => { ++over; document.body.classList.add("dropping"); });
addEventListener("dragleave", () => { if (--over <= 0) document.body.classList.remove("dropping"); });
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  over = 0;
  document.body.classList.remove("dropping");
  const file = event.dataTransfer?.files[0];
  if (!file) return;
  if (page?.drop) page.drop(file);
  else say("Open the page Sample or Denoise to restore the settings of an image, or Attention to look at it.", true);
});

document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
addEventListener("hashchange", () => { open().then(() => main.focus()); });
await useTokenOfAddress();
await open();
