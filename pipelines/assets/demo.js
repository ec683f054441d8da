"use strict";
// Sends files, asks how far each has come, and shows what came of it; keys live as long as the tab.
(() => {
  const WAIT = 700;
  const jobs = document.getElementById("jobs"), drop = document.getElementById("drop"), pick = document.getElementById("pick");
  const kept = JSON.parse(sessionStorage.getItem("fitloop-jobs") || "[]");
  const keep = () => sessionStorage.setItem("fitloop-jobs", JSON.stringify(kept));
  const pause = () => new Promise((done) => setTimeout(done, WAIT));

  function card(name) {
    const made = document.getElementById("job").content.firstElementChild.cloneNode(true);
    made.querySelector("h2").textContent = name;
    jobs.prepend(made);
    return made;
  }

  function tell(made, text, share) {
    const bar = made.querySelector("progress"), told = made.querySelector(".told");
    if (told.textContent !== text) told.textContent = text;
    bar.hidden = share === 0;
    if (share === undefined || share === null) bar.removeAttribute("value");
    else bar.value = share;
  }

  function end(made, text, failed) {
    tell(made, text);
    made.classList.toggle("failed", failed);
    made.querySelector("progress").hidden = true;
  }

  function send(made, address, file) {
    // fetch does not tell how much of an upload has gone.
    return new Promise((done) => {
      const request = new XMLHttpRequest();
      request.open("PUT", address);
      request.responseType = "json";
      request.upload.onprogress = (event) => tell(made, "Uploading", event.loaded / event.total);
      request.onload = () => done(request.response || { problem: "The server gave no answer." });
      request.onerror = () => done({ problem: "The server could not be reached, or refused the file while it arrived." });
      request.send(file);
    });
  }

  async function add(name, address, file) {
    const made = card(name);
    tell(made, "Uploading");
    made.querySelector(".forget").onclick = () => made.remove();
    if (file && file.size > 1e6 * Number(drop.dataset.megabytes)) {
      return end(made, `The file is larger than the ${drop.dataset.megabytes} MB that are accepted; shrink or cut it.`, true);
    }
    const answer = await send(made, address, file);
    if (answer.problem) return end(made, answer.problem, true);
    kept.push({ key: answer.key, name });
    keep();
    await follow(made, answer.key);
  }

  async function follow(made, key) {
    made.querySelector(".forget").onclick = () => {
      fetch(`jobs/${key}`, { method: "DELETE" });
      kept.splice(kept.findIndex((one) => one.key === key), 1);
      keep();
      made.remove();
    };
    for (; made.isConnected; await pause()) {
      const answer = await fetch(`jobs/${key}`).catch(() => null);
      if (answer === null) { tell(made, "The server does not answer; trying again."); continue; }
      const job = await answer.json();
      if (!answer.ok) return end(made, "Its files have been deleted.", false);
      if (job.state === "failed") return end(made, job.problem, true);
      if (job.state === "done") return show(made, key, job);
      if (job.state === "waiting") tell(made, job.ahead ? `Waiting; ${job.ahead} before it` : "Next in line", 0);
      else tell(made, job.doing || "Beginning", job.share);
    }
  }

  function show(made, key, job) {
    end(made, "", false);
    for (const one of job.notices) {
      made.querySelector(".notices").append(Object.assign(document.createElement("li"), { className: "notice", textContent: one }));
    }
    const files = made.querySelector(".files"), rows = new Map();
    for (const one of job.downloads) {
      if (!rows.has(one.whose)) {
        const whose = Object.assign(document.createElement("dt"), { textContent: one.whose });
        rows.set(one.whose, document.createElement("dd"));
        files.querySelector("dl").append(whose, rows.get(one.whose));
      }
      const link = Object.assign(document.createElement("a"), { download: one.name, textContent: one.what });
      link.href = `jobs/${key}/out/${one.link}`;
      rows.get(one.whose).append(link);
    }
    files.hidden = rows.size === 0;
    const frame = made.querySelector("iframe");
    frame.onload = () => fitted(frame);
    frame.src = `jobs/${key}/out/${job.page}`;
    frame.hidden = false;
  }

  // The run's own page inside this one: without its heading, the bodies to turn first.
  function fitted(frame) {
    const page = frame.contentDocument, style = page.createElement("style");
    style.textContent = `header, article > h2, p > a[href$=".npz"] { display: none; } body { background: var(--card); }
      main { padding: 0; } article { content-visibility: visible; margin: 0; padding: 0; border: 0; }
      article:has(> details) { display: flex; flex-direction: column; } article > * { order: 1; }
      article > details { order: 0; margin: 0 0 .8rem; }
      .film, .fitloop-frame { max-height: ${Math.round(0.8 * innerHeight)}px; }`;
    page.head.append(style);
    page.querySelectorAll("details").forEach((one) => { one.open = true; });
    const grow = () => { frame.style.height = `${Math.ceil(page.body.getBoundingClientRect().height) + 2}px`; };
    new frame.contentWindow.ResizeObserver(grow).observe(page.body);
    grow();
  }

  const take = (files) => { for (const file of files) add(file.name, `files/${encodeURIComponent(file.name)}`, file); };
  pick.onchange = () => { take([...pick.files]); pick.value = ""; };
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop") take([...event.dataTransfer.files]);
    });
  }
  document.querySelectorAll("[data-sample]").forEach((button) => {
    button.onclick = () => add(button.dataset.sample, `sample-jobs/${encodeURIComponent(button.dataset.sample)}`, null);
  });
  for (const one of kept) follow(card(one.name), one.key);
})();
