// Shows the API's description and sends requests from it. The token is kept in
// memory only: it is gone with the page.
"use strict";

const base = "/services/api/v1";
let token = "";
let description;

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "text") element.textContent = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== false && value !== undefined) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

function resolve(schema) {
  if (!schema || !schema.$ref) return schema || {};
  return description.components.schemas[schema.$ref.split("/").pop()] || {};
}

// An example of what a schema describes, for people to read.
function example(schema, depth = 0) {
  schema = resolve(schema);
  if (depth > 6) return "…";
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  if (schema.anyOf) return example(schema.anyOf[0], depth);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === "array") return [example(schema.items, depth + 1)];
  if (type === "object") {
    const value = {};
    for (const [name, property] of Object.entries(schema.properties || {})) value[name] = example(property, depth + 1);
    if (!schema.properties && schema.additionalProperties) value["…"] = example(schema.additionalProperties, depth + 1);
    return value;
  }
  return { string: "text", integer: 0, number: 0, boolean: true }[type] ?? null;
}

function typeOf(schema) {
  schema = resolve(schema);
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.format === "binary") return "file";
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type || "any";
  return type === "array" ? `list of ${typeOf(schema.items)}` : type;
}

// Every argument of an operation, wherever it is sent.
function argumentsOf(operation) {
  const list = (operation.parameters || []).map((p) => ({ name: p.name, place: p.in, required: p.required, schema: p.schema }));
  for (const [media, { schema }] of Object.entries(operation.requestBody?.content || {})) {
    for (const [name, property] of Object.entries(schema.properties)) {
      list.push({ name, place: media.startsWith("multipart") ? "form" : "body", required: (schema.required || []).includes(name), schema: property });
    }
  }
  return list;
}

function input(argument) {
  const type = typeOf(argument.schema);
  const attributes = { name: argument.name, "data-place": argument.place, "data-type": type, "aria-label": argument.name };
  const choices = type === "boolean" ? ["true", "false"] : argument.schema.enum;
  if (choices) return make("select", attributes, make("option", { value: "", text: "" }), ...choices.map((value) => make("option", { value, text: value })));
  if (type === "object") return make("textarea", { ...attributes, placeholder: "{ }", spellcheck: "false" });
  if (type === "file") return make("input", { ...attributes, type: "file" });
  const secret = argument.name.includes("password");
  return make("input", { ...attributes, type: secret ? "password" : "text", placeholder: argument.schema.default ?? "" });
}

// What the fields of a form say: a request to send.
function request(path, verb, fields) {
  const query = new URLSearchParams();
  const body = {};
  const form = new FormData();
  let multipart = false;
  for (const field of fields) {
    const { place, type } = field.dataset;
    multipart ||= place === "form";
    if (type === "file") {
      if (field.files[0]) form.append(field.name, field.files[0]);
    } else if (field.value !== "") {
      if (place === "path") path = path.replace(`{${field.name}}`, encodeURIComponent(field.value));
      else if (place === "query") query.set(field.name, field.value);
      else if (place === "form") form.append(field.name, field.value);
      else body[field.name] = type === "object" ? JSON.parse(field.value) : type === "boolean" ? field.value === "true" : field.value;
    }
  }
  const options = { method: verb.toUpperCase(), headers: token ? { "x-access-token": token } : {} };
  if (multipart) options.body = form;
  else if (Object.keys(body).length > 0) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  const tail = query.toString();
  return { url: tail ? `${path}?${tail}` : path, options };
}

const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function asCommand({ url, options }) {
  const parts = [`curl --cacert certificate.crt -X ${options.method} ${quote(location.origin + url)}`, `-H "x-access-token: $TOKEN"`];
  if (options.body instanceof FormData) {
    for (const [name, value] of options.body) parts.push(`-F ${quote(value instanceof File ? `${name}=@${value.name}` : `${name}=${value}`)}`);
  } else if (options.body) parts.push("-H 'Content-Type: application/json'", `-d ${quote(options.body)}`);
  return parts.join(" \\\n  ");
}

async function send(call, outcome, answer) {
  const started = performance.now();
  outcome.textContent = "…";
  try {
    const response = await fetch(call.url, call.options);
    const text = await response.text();
    const took = Math.round(performance.now() - started);
    outcome.dataset.ok = String(response.ok);
    outcome.textContent = `${response.status} in ${took} ms, ${text.length} characters`;
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* a file */ }
    answer.textContent = shown.length > 200000 ? `${shown.slice(0, 200000)}\n…` : shown;
  } catch (failure) {
    outcome.dataset.ok = "false";
    outcome.textContent = String(failure.message || failure);
    answer.textContent = "";
  }
  answer.hidden = answer.textContent === "";
}

// The inside of an operation is made when it is first opened.
function inside(path, verb, operation) {
  const list = argumentsOf(operation);
  const fields = list.map(input);
  const outcome = make("span", { class: "outcome", role: "status" });
  const answer = make("pre", { hidden: true });
  const run = (act) => {
    try { act(request(path, verb, fields)); } catch (failure) { outcome.dataset.ok = "false"; outcome.textContent = `An argument is no JSON: ${failure.message}`; }
  };
  const parts = [];
  if (list.length > 0) {
    const rows = list.map((argument, i) => make("tr", {},
      make("td", {}, make("code", { text: argument.name }), ...(argument.required ? [make("span", { class: "required", text: " *", title: "required" })] : [])),
      make("td", { text: typeOf(argument.schema) + (argument.place === "path" ? ", in the path" : "") }), make("td", {}, fields[i])));
    parts.push(make("h3", { text: "Arguments" }), make("table", {}, make("tbody", {}, ...rows)));
  }
  parts.push(make("div", { class: "tools" },
    make("button", { type: "button", class: "send", text: "Send", onclick: () => run((call) => send(call, outcome, answer)) }),
    make("button", { type: "button", text: "Show as curl", onclick: () => run((call) => { answer.textContent = asCommand(call); answer.hidden = false; outcome.textContent = ""; }) }),
    outcome), answer);
  const success = operation.responses["200"]?.content?.["application/json"];
  if (success?.schema) parts.push(make("h3", { text: "Answers with" }), make("pre", { text: JSON.stringify(example(success.schema), null, 2) }));
  else if (operation.responses["200"]) parts.push(make("p", { class: "note", text: `Answers with: ${operation.responses["200"].description}` }));
  else parts.push(make("p", { class: "note", text: "Not served yet." }));
  return make("div", { class: "inside" }, ...parts);
}

function show() {
  const contents = document.getElementById("contents");
  const operations = document.getElementById("operations");
  operations.replaceChildren();
  for (const { name } of description.tags) {
    const links = make("div", {}, make("h2", { text: name }));
    const section = make("div", {}, make("h2", { text: name }));
    for (const [path, verbs] of Object.entries(description.paths)) {
      for (const [verb, operation] of Object.entries(verbs)) {
        if (operation.tags[0] !== name) continue;
        const short = path.startsWith(base) ? path.slice(base.length) : `${path} (from the root)`;
        const badge = () => make("span", { class: "verb", "data-verb": verb, text: verb.toUpperCase() });
        const words = `${verb} ${short} ${operation.summary}`.toLowerCase();
        const details = make("details", { id: operation.operationId, "data-words": words },
          make("summary", {}, badge(), make("code", { text: short }), make("span", { class: "what", text: operation.summary })));
        details.addEventListener("toggle", () => { if (details.open && details.children.length === 1) details.append(inside(path, verb, operation)); });
        section.append(details);
        links.append(make("a", { href: `#${operation.operationId}`, "data-words": words, onclick: () => { details.open = true; } }, badge(), make("span", { text: short })));
      }
    }
    contents.append(links);
    operations.append(section);
  }
  const chosen = location.hash && document.getElementById(location.hash.slice(1));
  if (chosen) { chosen.open = true; chosen.scrollIntoView(); }
}

function filter(text) {
  const wanted = text.trim().toLowerCase();
  for (const element of document.querySelectorAll("[data-words]")) element.hidden = !element.dataset.words.includes(wanted);
  for (const heading of document.querySelectorAll("#contents > div, #operations > div")) {
    heading.hidden = !heading.querySelector("[data-words]:not([hidden])");
  }
}

function signedIn(name) {
  document.getElementById("sign-in").hidden = name !== "";
  document.getElementById("signed-in").hidden = name === "";
  document.getElementById("who").textContent = name;
}

document.getElementById("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const name = form.username.value;
  try {
    const response = await fetch(`${base}/login`, {
      method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ username: name, password: form.password.value }),
    });
    const answer = await response.json();
    if (!answer.token) throw new Error(answer.message);
    token = answer.token;
    form.reset();
    signedIn(name);
  } catch (failure) {
    form.password.setCustomValidity(String(failure.message));
    form.password.reportValidity();
    form.password.addEventListener("input", () => form.password.setCustomValidity(""), { once: true });
  }
});

document.getElementById("sign-out").addEventListener("click", async () => {
  const ended = token;
  token = "";
  signedIn("");
  await fetch(`${base}/logout`, { method: "POST", headers: { "x-access-token": ended } });
});

document.getElementById("filter").addEventListener("input", (event) => filter(event.target.value));

fetch(`${base}/openapi.json`)
  .then((response) => response.json())
  .then((document) => { description = document; show(); })
  .catch(() => { document.getElementById("waiting").textContent = "The description of the API cannot be read: is the server there?"; });
