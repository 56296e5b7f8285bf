// What pages do besides being read: they are kept up to date, forms open in a dialog, keys go places. All of
// it works without this file, but for being kept up to date.
(() => {
  const { body } = document;
  const main = document.getElementById("main");
  const live = document.getElementById("live");
  const said = document.getElementById("said");
  const base = body.dataset.base || "";
  let source = null;
  let lostAt = null;
  let hiddenTimer = 0;
  let saidAt = 0;

  const time = () => `${new Date().toISOString().slice(11, 19)} UTC`;

  function banner(text) {
    if (!live) return;
    live.hidden = text === "";
    live.textContent = text;
    if (text !== "") {
      const link = document.createElement("a");
      link.href = location.href;
      link.textContent = " Reload";
      live.append(link);
    }
  }

  // Somebody who hears the page is told at most once in ten seconds that it changed.
  function say(text) {
    if (!said || Date.now() - saidAt < 10000) return;
    saidAt = Date.now();
    said.textContent = text;
  }

  function isTheirs(name, node) {
    if (name === "value") return "defaultValue" in node && node.value !== node.defaultValue;
    if (name === "checked") return "defaultChecked" in node && node.checked !== node.defaultChecked;
    if (name === "selected") return node.selected !== node.defaultSelected;
    if (name === "open") return node.tagName === "DETAILS";
    return name === "class" && node.classList.contains("at");
  }

  function morph(element, html) {
    window.Idiomorph.morph(element, html, {
      morphStyle: "innerHTML",
      ignoreActiveValue: true,
      restoreFocus: true,
      callbacks: {
        // What somebody has typed, opened or chosen is theirs.
        beforeAttributeUpdated: (name, node) => !isTheirs(name, node),
      },
    });
  }

  function fresh({ title, main: html, banner: top, asOf }) {
    const log = document.getElementById("log");
    const atEnd = log && log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    if (title !== document.title) say(title);
    document.title = title;
    morph(main, html);
    const own = document.getElementById("banner");
    if (own) own.outerHTML = top;
    const of = document.getElementById("as-of");
    if (of) of.textContent = asOf;
    const now = document.getElementById("log");
    if (now && atEnd) now.scrollTop = now.scrollHeight;
    document.dispatchEvent(new CustomEvent("lazarus:fresh"));
  }

  const BYE = {
    "signed-out": "You were signed out.",
    "no-right": "You may not see this page any more.",
    restart: "Lazarus restarts.",
  };

  function connect() {
    if (source || !body.dataset.live) return;
    const on = location.pathname.slice(base.length) + location.search;
    source = new EventSource(`${body.dataset.live}?on=${encodeURIComponent(on)}`);
    source.addEventListener("open", () => {
      lostAt = null;
      banner("");
    });
    source.addEventListener("page", (event) => fresh(JSON.parse(event.data)));
    source.addEventListener("bye", (event) => {
      const { why } = JSON.parse(event.data);
      if (why === "restart") return;
      disconnect();
      // What one may not see is not left on the screen.
      main.replaceChildren();
      banner(BYE[why] || "");
    });
    source.addEventListener("error", () => {
      lostAt = lostAt || time();
      banner(`Not live since ${lostAt}. Trying again.`);
      if (source && source.readyState === EventSource.CLOSED) disconnect();
    });
  }

  function disconnect() {
    if (source) source.close();
    source = null;
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiddenTimer);
    if (document.hidden) hiddenTimer = setTimeout(disconnect, 60000);
    else connect();
  });
  window.addEventListener("pagehide", disconnect);
  window.addEventListener("pageshow", connect);

  const log = document.getElementById("log");
  if (log && !location.hash) log.scrollTop = log.scrollHeight;

  // A form in a dialog is the same page; sent, it goes the usual way.
  document.addEventListener("click", async (event) => {
    const close = event.target.closest("dialog [data-close]");
    if (close) {
      event.preventDefault();
      close.closest("dialog").close();
      return;
    }
    const link = event.target.closest("a[data-dialog]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    try {
      const answer = await fetch(link.href, { headers: { Accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const content = page.getElementById("main");
      if (!content) throw new Error("no page");
      const dialog = document.createElement("dialog");
      const title = content.querySelector("h1");
      if (title) dialog.setAttribute("aria-label", title.textContent);
      dialog.append(...content.childNodes);
      body.append(dialog);
      dialog.addEventListener("close", () => {
        dialog.remove();
        link.focus();
      });
      dialog.showModal();
    } catch {
      location.assign(link.href);
    }
  });

  // Keys: none changes anything; off while a field has the focus, or where somebody switched them off.
  const GO = { n: "/", c: "/cells", q: "/queue", a: "/audit" };
  let waiting = false;
  function row(step) {
    const rows = [...main.querySelectorAll("tbody tr")];
    const at = rows.findIndex((one) => one.classList.contains("at"));
    const next = rows[Math.max(0, Math.min(rows.length - 1, at + step))];
    if (!next) return;
    for (const one of rows) one.classList.remove("at");
    next.classList.add("at");
    const link = next.querySelector("a");
    if (link) link.focus();
  }
  document.addEventListener("keydown", (event) => {
    if (body.dataset.keys !== "on" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input,textarea,select,dialog,[contenteditable]")) return;
    const { key } = event;
    if (waiting) {
      waiting = false;
      if (GO[key]) location.assign(base + GO[key]);
      return;
    }
    if (key === "g") waiting = true;
    else if (key === "?") location.assign(`${base}/help`);
    else if (key === "j") row(1);
    else if (key === "k") row(-1);
    else if (key === "o") document.getElementById("on-forge")?.click();
    else if (key === "/") {
      event.preventDefault();
      const find = document.getElementById("q");
      if (find) find.focus();
      else location.assign(`${base}/cells`);
    }
  });
})();
