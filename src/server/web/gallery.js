// The gallery: everything that was made, by tag and model.
import {api} from "./api.js";
import {h, say} from "./dom.js";
import {showImage, tile} from "./detail.js";

export async function galleryPage(main, capabilities) {
  const tag = h("select", {"aria-label": "Tag"});
  const model = h("select", {"aria-label": "Model"}, h("option", {value: ""}, "all models"),
    capabilities.models.map((m) => h("option", {value: m.name}, m.name)));
  const list = h("ul", {class: "images"});
  const more = h("button", {type: "button", hidden: true}, "Show more");
  const count = h("p", {class: "hint"});
  let next = null;

  async function load(fresh) {
    const query = new URLSearchParams({limit: 60});
    if (tag.value) query.set("tag", tag.value);
    if (model.value) query.set("model", model.value);
    if (!fresh && next !== null) query.set("before", next);
    try {
      const page = await api(`api/v1/images?${query}`);
      if (fresh) list.replaceChildren();
      list.append(...page.images.map((image) => h("li", {}, tile(image, () => showImage(image, refresh)))));
      next = page.next;
      more.hidden = next === null;
      count.textContent = page.total === 0 ? "" : `${page.total} images in the gallery.`;
      if (fresh && page.images.length === 0) {
        list.append(h("li", {class: "empty", style: "grid-column:1/-1"}, page.total === 0 ?
          "Nothing was made yet. Images that you sample are kept here, with everything that is needed to make them again." :
          "No image has this tag and model."));
      }
    } catch (error) { say(error.message, true); }
  }

  async function refresh() {
    const chosen = tag.value;
    const {tags} = await api("api/v1/tags");
    tag.replaceChildren(h("option", {value: ""}, "all tags"), ...tags.map((t) => h("option", {value: t.tag}, `${t.tag} (${t.images})`)));
    tag.value = tags.some((t) => t.tag === chosen) ? chosen : "";
    await load(true);
  }

  tag.addEventListener("change", () => load(true));
  model.addEventListener("change", () => load(true));
  more.addEventListener("click", () => load(false));
  main.replaceChildren(
    h("h1", {}, "Gallery"), count,
    h("div", {class: "row", style: "margin-bottom:1rem"}, h("div", {style: "flex:0 1 14rem"}, tag), h("div", {style: "flex:0 1 14rem"}, model)),
    list, h("div", {class: "row", style: "margin-top:1rem"}, more));
  await refresh();
}
