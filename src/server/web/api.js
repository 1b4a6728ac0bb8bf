// The server's interface (api/v1/openapi.json).
import {h} from "./dom.js";

export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `the server answered ${status}`);
    this.status = status;
    this.field = problem.field;
  }
}

async function request(path, method, body) {
  const options = {method, headers: {Accept: "application/json"}};
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let reply;
  try {
    reply = await fetch(path, options);
  } catch {
    throw new ApiError(0, {detail: "The server does not answer. Is it still running?"});
  }
  if (reply.status === 204) return null;
  const data = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new ApiError(reply.status, data);
  return data;
}

/** Opens a session with the token. */
const signIn = (token) => request("api/v1/session", "POST", {token});

function askToken() {
  return new Promise((resolve) => {
    const input = h("input", {type: "text", name: "token", autocomplete: "off", required: true, "aria-label": "Token"});
    const dialog = h("dialog", {"aria-labelledby": "ask"},
      h("h2", {id: "ask"}, "This server wants its token"),
      h("p", {class: "hint"}, "diffit serve prints it as a part of its address."),
      h("form", {method: "dialog"}, input, h("button", {class: "main"}, "Continue")));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(input.value.trim()); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A request; asks for the token where one is needed. */
export async function api(path, method = "GET", body = undefined) {
  while (true) {
    try {
      return await request(path, method, body);
    } catch (error) {
      if (error.status !== 401) throw error;
      await signIn(await askToken()).catch(() => {});
    }
  }
}

/** Takes the token out of the address, so that it stays in no history. */
export async function useTokenOfAddress() {
  const match = /^#token=(.+)$/.exec(location.hash);
  if (!match) return;
  history.replaceState(null, "", location.pathname + "#/sample");
  await signIn(decodeURIComponent(match[1])).catch(() => {});
}

export const submit = (spec) => api("api/v1/jobs", "POST", {kind: "sample", spec});
export const cancel = (id) => api(`api/v1/jobs/${id}/cancel`, "POST");

/** Follows a job to its end and returns it; `on` has functions progress(data) and preview(data). */
export function follow(id, on = {}) {
  return new Promise((resolve, reject) => {
    const source = new EventSource(`api/v1/jobs/${id}/events`);
    source.addEventListener("progress", (event) => on.progress?.(JSON.parse(event.data)));
    source.addEventListener("preview", (event) => on.preview?.(JSON.parse(event.data)));
    source.addEventListener("state", (event) => {
      const job = JSON.parse(event.data);
      on.state?.(job);
      if (["done", "failed", "cancelled"].includes(job.state)) {
        source.close();
        resolve(job);
      }
    });
    source.addEventListener("error", () => {
      on.lost?.();
      if (source.readyState === EventSource.CLOSED) reject(new ApiError(0, {detail: "The connection to the server was lost."}));
    });
  });
}
