// A dialog with one image of the gallery: settings, tags, and what can be done with it.
import {api} from "./api.js";
import {format, h, picture, say} from "./dom.js";

export function titleOf(image) {
  return image.class === "" ? `seed ${image.seed}` : `${image.class}, seed ${image.seed}`;
}

/** A button with the image; `open` is called when it is pressed. */
export function tile(image, open) {
  return h("button", {type: "button", class: "tile", click: open, "aria-label": `${titleOf(image)}, made by ${image.model}. Show details`},
    picture(image.url, ""), h("span", {}, h("b", {}, image.class || image.model), `seed ${image.seed}`));
}

/** Opens it; `changed` is called after the image was removed or its tags changed. */
export function showImage(image, changed = () => {}) {
  const tags = h("input", {type: "text", value: image.tags.join(", "), autocomplete: "off", "aria-describedby": "tagnote"});
  const dialog = h("dialog", {"aria-labelledby": "imagetitle"});
  const settings = Object.entries(image.settings).filter(([name]) => !["seeds", "classes"].includes(name));
  const leave = (hash) => { dialog.close(); location.hash = hash; };
  const save = async (event) => {
    event.preventDefault();
    const list = tags.value.split(",").map((tag) => tag.trim()).filter(Boolean);
    try {
      image.tags = (await api(`api/v1/images/${image.id}/tags`, "PUT", {tags: list})).tags;
      tags.value = image.tags.join(", ");
      say("Tags saved.");
      changed();
    } catch (error) { say(error.message, true); }
  };
  const remove = async () => {
    if (!confirm("Delete this image from the gallery?")) return;
    try {
      await api(`api/v1/images/${image.id}`, "DELETE");
      dialog.close();
      say("Deleted.");
      changed();
    } catch (error) { say(error.message, true); }
  };
  const restore = (page) => {
    sessionStorage.setItem("restore", JSON.stringify(image.settings));
    leave(`#/${page}?restore=${image.id}.${Date.now()}`);
  };
  dialog.append(
    h("div", {class: "row"}, h("h2", {id: "imagetitle"}, titleOf(image)),
      h("button", {type: "button", class: "plain", style: "margin-left:auto", "aria-label": "Close", click: () => dialog.close()}, "✕")),
    h("div", {class: "detail"},
      picture(image.url, `Sample: ${titleOf(image)}`),
      h("div", {},
        h("dl", {}, [["size", `${image.width} × ${image.height}`], ["seed", image.seed], ...settings,
          ["made", new Date(image.created * 1000).toLocaleString()]].flatMap(([name, value]) =>
          [h("dt", {}, name.replaceAll("_", " ")), h("dd", {}, format(value))])),
        h("form", {submit: save}, h("label", {}, "Tags", h("div", {class: "row"}, tags, h("button", {}, "Save"))),
          h("span", {class: "note", id: "tagnote"}, "Words of your own, with commas.")),
        h("div", {class: "row", style: "margin-top:1rem"},
          h("button", {type: "button", class: "main", click: () => restore("sample")}, "Restore settings"),
          h("button", {type: "button", click: () => restore("denoise")}, "See its denoising"),
          h("button", {type: "button", click: () => restore("attention")}, "See its attention"),
          h("a", {href: image.url, download: `diffit-${image.id}.png`}, "Download"),
          h("button", {type: "button", class: "plain bad", click: remove}, "Delete")))));
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.body.append(dialog);
  dialog.showModal();
}
