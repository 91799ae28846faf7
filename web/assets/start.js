// Fills the page with its own address, asks whether the server is ready, and
// copies text. The page reads well without it.
"use strict";

const places = {
  linux: ["/etc/osquery/muster-ca.pem", "/etc/osquery/enroll_secret"],
  darwin: ["/private/var/osquery/muster-ca.pem", "/private/var/osquery/enroll_secret"],
  windows: ["C:\\Program Files\\osquery\\certs\\muster-ca.pem", "C:\\Program Files\\osquery\\enroll_secret"],
};

function fill(selector, text) {
  for (const element of document.querySelectorAll(selector)) element.textContent = text;
}

// The port is always named: osquery takes 443 for granted, people do not.
function address() {
  const port = location.port || (location.protocol === "https:" ? "443" : "80");
  return `${location.hostname}:${port}`;
}

function choosePlatform(name) {
  fill("[data-certificate]", places[name][0]);
  fill("[data-secret]", places[name][1]);
  for (const button of document.querySelectorAll("[data-platform]")) {
    button.setAttribute("aria-pressed", String(button.dataset.platform === name));
  }
}

function show(state, text) {
  document.getElementById("state").dataset.state = state;
  document.getElementById("state-text").textContent = text;
}

async function askReadiness() {
  try {
    const answer = await fetch("/readyz", { cache: "no-store", signal: AbortSignal.timeout(8000) });
    show(answer.ok ? "ready" : "waiting", answer.ok ? "Ready" : "Not ready");
  } catch {
    show("gone", "No answer");
  }
}

async function copy(button) {
  const text = document.getElementById(button.dataset.copy).textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Press Ctrl+C";
    getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

fill("[data-host]", address());
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}
for (const button of document.querySelectorAll("[data-platform]")) {
  button.addEventListener("click", () => choosePlatform(button.dataset.platform));
}
document.getElementById("platforms").hidden = false;
askReadiness();
setInterval(askReadiness, 15000);
