"use strict";
// Tables that sort, the table of people, and the window of one person with its 3D view.
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const data = read("data"), STEP = 100;
  let pictures, scenes;
  const lazily = () => { pictures ??= read("pictures"); scenes ??= read("scenes"); };
  const by = (id) => document.getElementById(id);
  const make = (tag, text, kind) => {
    const element = document.createElement(tag);
    if (text !== undefined && text !== null) element.textContent = text;
    if (kind) element.className = kind;
    return element;
  };

  // Empty cells stay below, whatever the direction.
  const compare = (a, b, sign) => {
    const none = (v) => v === "" || v === null || v === undefined;
    if (none(a) || none(b)) return none(a) - none(b);
    const [x, y] = [Number(a), Number(b)];
    return sign * (Number.isNaN(x) || Number.isNaN(y) ? String(a).localeCompare(String(b)) : x - y);
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.firstChild.addEventListener("click", () => {
      const down = head.ariaSort === "ascending", sign = down ? -1 : 1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.ariaSort = down ? "descending" : "ascending";
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort((a, b) => compare(value(a), value(b), sign)));
    }));
  }

  const stages = data.stages, main = stages[data.main], first = data.first === null ? null : stages[data.first];
  const value = (stage, name, row) => stage.metrics[name] ? stage.metrics[name][row] : null;
  const change = (row) => {
    if (!first) return null;
    const [before, after] = [value(first, data.metric, row), value(main, data.metric, row)];
    return before === null || after === null ? null : after - before;
  };
  const sorted = data.metrics.find((metric) => metric.name === data.metric);
  const fixed = (number, decimals) => number === null || number === undefined ? "-" : number.toFixed(decimals);

  // A person's own name matters only where a photo has several.
  const crowd = new Map();
  for (const photo of data.photos) crowd.set(photo, (crowd.get(photo) ?? 0) + 1);
  const nameOf = (row) => data.photos[row] + (data.persons[row] && crowd.get(data.photos[row]) > 1 ? ` #${data.persons[row]}` : "");

  const columns = [{ title: "photo", of: nameOf }];
  if (data.grades.some(Boolean)) columns.push({ title: "grade", of: (row) => data.grades[row] });
  for (const stage of stages) {
    if (stage.metrics[data.metric]) {
      columns.push({ title: `${stage.label}: ${sorted.title}`, number: sorted.decimals, of: (row) => value(stage, data.metric, row) });
    }
  }
  if (first) columns.push({ title: "change", number: sorted.decimals, of: change, kind: (v) => v < 0 ? "better" : v > 0 ? "worse" : "" });
  columns.push({ title: "result", of: (row) => main.accepted[row] ? "accepted" : "rejected", kind: (v) => v });
  columns.push({ title: "reason", of: (row) => main.reason[row] });
  for (const metric of data.metrics) {
    if (metric.name !== data.metric && main.metrics[metric.name]) {
      columns.push({ title: metric.title, number: metric.decimals, of: (row) => value(main, metric.name, row) });
    }
  }

  const [filter, grade, verdict] = [by("filter"), by("grade"), by("verdict")], body = by("persons").tBodies[0];
  let order = data.order, shown = [], limit = STEP;

  const wanted = (row) => {
    const words = `${columns[0].of(row)} ${data.grades[row]} ${main.reason[row]}`.toLowerCase();
    const delta = change(row);
    const kinds = { "all": true, "accepted": main.accepted[row], "rejected": !main.accepted[row],
      "better than before": delta !== null && delta < 0, "worse than before": delta !== null && delta > 0 };
    return words.includes(filter.value.toLowerCase()) && (!grade || !grade.value || data.grades[row] === grade.value)
      && kinds[verdict.value];
  };

  const line = (row) => {
    const tr = make("tr");
    columns.forEach((column, number) => {
      const found = column.of(row);
      const told = column.number === undefined ? found : fixed(found, column.number);
      const cell = tr.appendChild(make(number ? "td" : "th"));
      if (number) {
        cell.textContent = told;
        if (column.number !== undefined) cell.classList.add("number");
        if (column.kind && found !== null && column.kind(found)) cell.classList.add(column.kind(found));
      } else {
        cell.scope = "row";
        const button = cell.appendChild(make("button", told));
        button.type = "button";
        button.title = told;
        button.addEventListener("click", () => open(row));
      }
    });
    return tr;
  };

  const refresh = () => {
    shown = order.filter(wanted);
    body.replaceChildren(...shown.slice(0, limit).map(line));
    by("count").textContent = `${shown.length} of ${order.length} people`;
    by("more").hidden = shown.length <= limit;
  };

  const heads = columns.map((column) => {
    const head = make("th");
    head.scope = "col";
    const button = head.appendChild(make("button", column.title));
    button.type = "button";
    button.addEventListener("click", () => {
      const down = head.ariaSort ? head.ariaSort === "ascending" : column.number !== undefined;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.ariaSort = down ? "descending" : "ascending";
      order = [...order].sort((a, b) => compare(column.of(a), column.of(b), down ? -1 : 1));
      refresh();
    });
    return head;
  });
  by("persons").tHead.appendChild(make("tr")).append(...heads);
  for (const control of [filter, grade, verdict]) control?.addEventListener("input", () => { limit = STEP; refresh(); });
  by("more").addEventListener("click", () => { limit += STEP; refresh(); });
  refresh();

  const dialog = by("person"), inside = by("person-inside");
  let current = null, viewer = null;

  const numbers = (row) => {
    const table = make("table");
    table.appendChild(make("thead")).appendChild(make("tr")).append(...["", ...stages.map((stage) => stage.label)].map((t) => make("th", t)));
    const rows = table.appendChild(make("tbody"));
    const add = (title, cells) => {
      const tr = rows.appendChild(make("tr"));
      tr.append(make("th", title), ...cells.map((cell) => make("td", cell, "number")));
      return tr;
    };
    for (const metric of data.metrics) {
      add(metric.title, stages.map((stage) => fixed(value(stage, metric.name, row), metric.decimals)));
    }
    add("result", stages.map((stage) => `${stage.accepted[row] ? "accepted" : "rejected"}${stage.reason[row] ? `: ${stage.reason[row]}` : ""}`));
    data.joints.forEach((joint, number) => {
      if (stages.some((stage) => stage.joints[row][number] !== null)) {
        add(`${joint} (${data.unit})`, stages.map((stage) => fixed(stage.joints[row][number], 0)));
      }
    });
    const frame = make("div", null, "table");
    frame.append(table);
    return frame;
  };

  const strip = (row) => {
    const list = make("div", null, "strip");
    for (const [name, address] of Object.entries(pictures[row] ?? {})) {
      if (name === "photo") continue;
      const figure = list.appendChild(make("figure")), told = name === "crop" ? "photo" : name;
      Object.assign(figure.appendChild(make("img")), { src: address, alt: told, width: 256, height: 256 });
      figure.append(make("figcaption", told));
    }
    return list;
  };

  const leave = () => { viewer?.come(false); viewer = null; };

  const view = (row) => {
    const holder = make("div");
    if (!scenes[row]) {
      holder.append(make("p", "No 3D view: this page holds pictures and bodies of the worst people only, or there is no result."));
      return holder;
    }
    const figure = by("figure").content.firstElementChild.cloneNode(true), [left, top, right, bottom] = scenes[row].view;
    figure.querySelector(".fitloop-frame").style.aspectRatio = `${right - left} / ${bottom - top}`;
    holder.append(figure);
    viewer = new fitloopViewer.Viewer(figure, { ...scenes[row], photo: pictures[row]?.photo ?? null });
    return holder;
  };

  function open(row) {
    lazily();
    leave();
    current = row;
    by("person-name").textContent = [columns[0].of(row), data.grades[row]].filter(Boolean).join(", ");
    const left = make("div"), right = make("div"), both = make("div", null, "columns");
    left.append(view(row), strip(row));
    right.append(numbers(row));
    both.append(left, right);
    inside.replaceChildren(both);
    if (!dialog.open) dialog.showModal();
    viewer?.come(true);
    // Keys turn the body at once; n, p and Escape work from anywhere in the window.
    (inside.querySelector("canvas") ?? by("close")).focus({ preventScroll: true });
  }

  const step = (by) => {
    const place = shown.indexOf(current), next = shown[(place + by + shown.length) % shown.length];
    if (next !== undefined) open(next);
  };
  by("next").addEventListener("click", () => step(1));
  by("previous").addEventListener("click", () => step(-1));
  by("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", leave);
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "n") step(1);
    if (event.key === "p") step(-1);
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button.open");
    if (button) open(Number(button.dataset.row));
  });
  by("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
})();
