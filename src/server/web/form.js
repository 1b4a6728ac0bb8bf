// The form of settings. What it gives is the specification of a job; what it takes is that of an image.
import {h} from "./dom.js";

const FEW_CLASSES = 30;
let forms = 0;

function field(label, control, note) {
  const id = `f${++forms}`;
  control.id = id;
  const text = note ? h("span", {class: "note", id: id + "n"}, note) : null;
  if (note) control.setAttribute("aria-describedby", id + "n");
  return h("div", {class: "field"}, h("label", {for: id}, label), control, text);
}

const numberInput = (name, attributes = {}) => h("input", {type: "number", name, step: "any", inputmode: "decimal", ...attributes});
const textInput = (name, attributes = {}) => h("input", {type: "text", name, autocomplete: "off", spellcheck: "false", ...attributes});
const select = (name, options) => h("select", {name}, options.map(([value, text]) => h("option", {value}, text)));

/** The settings that may differ between A and B: model, sampler, steps, guidance and the rest of "how". */
export class HowFields {
  constructor(capabilities, onModel = () => {}) {
    this.capabilities = capabilities;
    this.model = select("model", capabilities.models.map((m) => [m.name, m.name]));
    this.sampler = select("sampler", []);
    this.steps = numberInput("steps", {min: 1, max: capabilities.limits.steps, step: 1, inputmode: "numeric"});
    this.guidance = numberInput("guidance", {min: 0, max: 100});
    this.interval = textInput("guidance_interval", {placeholder: "all noise levels"});
    this.schedule = select("guidance_schedule", [["", "constant"], ["power-cosine", "power-cosine"]]);
    this.channels = textInput("guidance_channels", {placeholder: "as usual for the model"});
    this.eta = numberInput("eta", {min: 0, max: 1});
    this.churn = numberInput("churn", {min: 0});
    this.spacing = select("spacing", [["", "as usual"], ["leading", "leading"], ["linspace", "linspace"], ["trailing", "trailing"]]);
    this.sigmaMin = numberInput("sigma_min", {min: 0, placeholder: "0.002"});
    this.sigmaMax = numberInput("sigma_max", {min: 0, placeholder: "80"});
    this.rho = numberInput("rho", {min: 1, placeholder: "7"});
    this.mixSeed = numberInput("mix_seed", {min: 0, step: 1, inputmode: "numeric", placeholder: "none"});
    this.mix = textInput("mix", {placeholder: "0.3, or 0,0.5,1"});
    this.stepsField = field("Steps", this.steps);
    this.guidanceField = field("Guidance", this.guidance);
    this.latentOnly = [field("Guidance schedule", this.schedule), field("Guided channels", this.channels, "all, or a number")];
    this.etaField = field("Eta", this.eta, "0: deterministic. 1: as much noise as ddpm.");
    this.spacingField = field("Spacing of timesteps", this.spacing);
    this.sigmaFields = [
      h("div", {class: "pair"}, field("Lowest noise level", this.sigmaMin), field("Highest", this.sigmaMax)),
      h("div", {class: "pair"}, field("Rho", this.rho), field("Churn", this.churn, "Noise added again while sampling.")),
    ];
    this.element = h("div", {class: "inner"},
      field("Model", this.model),
      field("Sampler", this.sampler),
      h("div", {class: "pair"}, this.stepsField, this.guidanceField),
      h("span", {class: "note"}, "Guidance 1: none. Above 1, images follow their class more closely."),
      h("details", {}, h("summary", {}, "More settings"), h("div", {class: "inner"},
        field("Guidance only between the noise levels", this.interval, "LO,HI in sigma, or step:0.2,0.8 in shares of the steps."),
        this.latentOnly, this.etaField, this.spacingField, this.sigmaFields,
        h("div", {class: "pair"}, field("Mix noise with seed", this.mixSeed, "For variations and interpolation."), field("Share of it", this.mix, "0: none, 1: all; several in turn.")))));
    this.model.addEventListener("change", () => { this.offer(); onModel(this.current()); });
    this.sampler.addEventListener("change", () => this.offer(this.sampler.value));
    this.offer();
  }

  current() {
    return this.capabilities.models.find((m) => m.name === this.model.value) ?? this.capabilities.models[0];
  }

  /** Shows what the model and the sampler take. */
  offer(sampler = "") {
    const model = this.current();
    const latent = model.kind === "latent";
    const samplers = this.capabilities.samplers.filter((s) => latent || !s.latent_only);
    const wanted = samplers.some((s) => s.name === sampler) ? sampler : model.sampler;
    this.sampler.replaceChildren(...samplers.map((s) => h("option", {value: s.name, selected: s.name === wanted}, `${s.name} – ${s.title}`)));
    this.sampler.value = wanted;
    const chosen = samplers.find((s) => s.name === wanted);
    this.steps.placeholder = String(chosen.usual_steps);
    this.guidance.placeholder = "1";
    this.guidanceField.hidden = model.classes === 0;
    for (const element of this.latentOnly) element.hidden = !latent;
    this.etaField.hidden = !chosen.eta;
    this.spacingField.hidden = !chosen.spacing;
    for (const element of this.sigmaFields) element.hidden = !chosen.sigmas;
  }

  get() {
    const spec = {model: this.model.value, sampler: this.sampler.value};
    const put = (input, read) => {
      if (input.value !== "" && !input.closest("[hidden]")) spec[input.name] = read(input.value);
    };
    for (const input of [this.steps, this.guidance, this.eta, this.churn, this.sigmaMin, this.sigmaMax, this.rho, this.mixSeed]) put(input, Number);
    for (const input of [this.interval, this.schedule, this.channels, this.spacing, this.mix]) put(input, String);
    return spec;
  }

  set(settings) {
    const names = this.capabilities.models.map((m) => m.name);
    const stem = String(settings.model ?? "").split("/").pop().replace(/\.safetensors$/, "");
    const known = [settings.model, stem].find((name) => names.includes(name));
    if (known) this.model.value = known;
    this.offer(settings.sampler);
    const all = [this.steps, this.guidance, this.interval, this.schedule, this.channels, this.eta, this.churn,
      this.spacing, this.sigmaMin, this.sigmaMax, this.rho, this.mixSeed, this.mix];
    for (const input of all) input.value = settings[input.name] ?? "";
    if (String(settings.guidance_schedule ?? "").startsWith("power-cosine")) this.schedule.value = "power-cosine";
    return known ? "" : `The model ${settings.model} is not served here; the other settings were taken.`;
  }

  /** Marks the control of a field that the server found wrong. */
  mark(name) {
    const control = this.element.querySelector(`[name="${CSS.escape(name ?? "")}"]`);
    for (const marked of this.element.querySelectorAll("[aria-invalid]")) marked.removeAttribute("aria-invalid");
    if (!control) return false;
    control.setAttribute("aria-invalid", "true");
    control.closest("details")?.setAttribute("open", "");
    control.focus();
    return true;
  }
}

/** Seeds and classes: which images. */
export class WhichFields {
  constructor(capabilities, one = false) {
    this.capabilities = capabilities;
    this.one = one;
    this.seeds = textInput("seeds", {value: one ? "0" : "0-9", required: true,
      pattern: one ? "\\s*\\d+\\s*" : "\\s*\\d+(\\s*-\\s*\\d+)?(\\s*,\\s*\\d+(\\s*-\\s*\\d+)?)*\\s*"});
    const shuffle = h("button", {type: "button", click: () => this.shuffle()}, "Random");
    this.classes = h("div", {});
    const seeds = field(one ? "Seed" : "Seeds", this.seeds, one ? "The noise that the image is made of." : "One image each: 0-9, or 3, 7, 12.");
    this.seeds.replaceWith(h("div", {class: "row"}, this.seeds.cloneNode(), shuffle));
    this.seeds = seeds.querySelector("input");
    this.element = h("div", {class: "inner"}, seeds, this.classes);
  }

  shuffle() {
    const count = this.one ? 1 : Math.max(1, this.count());
    const first = crypto.getRandomValues(new Uint32Array(1))[0] % 1000000;
    this.seeds.value = count === 1 ? String(first) : `${first}-${first + count - 1}`;
  }

  count() {
    let count = 0;
    for (const part of this.seeds.value.split(",")) {
      const [a, b] = part.split("-").map(Number);
      count += b === undefined ? 1 : b - a + 1;
    }
    return Number.isFinite(count) ? count : 1;
  }

  /** Offers the classes of a model. */
  offer(model) {
    const before = this.model === model ? this.getClasses() : undefined;
    this.model = model;
    this.classes.replaceChildren();
    if (model.classes === 0) return;
    if (this.one) {
      this.choice = select("classes", model.class_names.map((name, label) => [label, name]));
      this.classes.append(field("Class", this.choice));
    } else {
      this.mode = select("mode", [["all", "all in turn"], ["random", "random"], ["some", "chosen ones"]]);
      this.mode.addEventListener("change", () => { this.some.hidden = this.mode.value !== "some"; });
      if (model.classes <= FEW_CLASSES) {
        this.boxes = model.class_names.map((name, label) => h("input", {type: "checkbox", name: "classes", value: label}));
        this.some = h("div", {class: "chips", role: "group", "aria-label": "Chosen classes", hidden: true},
          this.boxes.map((box, label) => h("label", {}, box, model.class_names[label])));
      } else {
        this.boxes = null;
        this.names = textInput("classes", {list: "names", placeholder: "golden retriever, 12"});
        this.some = h("div", {hidden: true}, field("Chosen classes", this.names, "Names or numbers, with commas."),
          h("datalist", {id: "names"}, model.class_names.map((name) => h("option", {value: name}))));
      }
      this.classes.append(h("div", {class: "inner"}, field("Classes", this.mode), this.some));
    }
    if (before !== undefined) this.setClasses(before);
  }

  getClasses() {
    if (!this.model || this.model.classes === 0) return undefined;
    if (this.one) return [Number(this.choice.value)];
    if (this.mode.value !== "some") return this.mode.value;
    if (!this.boxes) return this.names.value;
    const labels = this.boxes.filter((box) => box.checked).map((box) => Number(box.value));
    return labels.length ? labels : "all";
  }

  setClasses(classes) {
    if (!this.model || this.model.classes === 0 || classes === undefined) return;
    const labels = Array.isArray(classes) ? [...new Set(classes.map(Number))] : null;
    if (this.one) {
      if (labels?.length) this.choice.value = String(labels[0]);
      return;
    }
    this.mode.value = labels ? "some" : classes === "random" ? "random" : classes === "all" ? "all" : "some";
    this.some.hidden = this.mode.value !== "some";
    if (this.boxes) for (const box of this.boxes) box.checked = labels?.includes(Number(box.value)) ?? false;
    else this.names.value = labels ? labels.join(", ") : String(classes);
  }

  get() {
    const spec = {seeds: this.seeds.value.replace(/\s/g, "")};
    const classes = this.getClasses();
    if (classes !== undefined) spec.classes = classes;
    return spec;
  }

  set(settings) {
    if (settings.seeds !== undefined) {
      this.seeds.value = Array.isArray(settings.seeds) ? (this.one ? settings.seeds[0] : settings.seeds.join(", ")) : settings.seeds;
    }
    this.setClasses(settings.classes);
  }
}
