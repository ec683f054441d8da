"use strict";
// The viewers of a page: each figure.fitloop-viewer holds its scene as JSON, or names the script beside the page that
// brings it, and becomes a picture to turn by mouse, touch and keys.
const fitloopViewer = (() => {
  const { bodyNamed, decode, upload, release, draw, rotation, times, apply, start } = fitloopMesh;
  const START = { yaw: 0, pitch: 0, zoom: 1, x: 0, y: 0 };
  const VIEWS = { Camera: START, Side: { ...START, yaw: Math.PI / 2 }, Top: { ...START, pitch: -1.4 } };
  const viewers = [];

  class Viewer {
    constructor(figure, scene) {
      this.figure = figure;
      this.given = scene;
      this.state = { ...START };
      this.pointers = new Map();
    }

    // Finds the scene, once, when the figure first comes near the screen.
    find() {
      if (this.given) return this.build(this.given);
      const inside = this.figure.querySelector("script");
      if (inside) return this.build(JSON.parse(inside.textContent));
      if (this.asked) return;
      this.asked = document.head.appendChild(document.createElement("script"));
      this.asked.addEventListener("load", () => this.build(this.asked.scene));
      this.asked.addEventListener("error", () => {
        this.figure.dataset.failed = `${this.figure.dataset.scene} is missing: keep it beside this page.`;
      });
      this.asked.src = this.figure.dataset.scene;
    }

    build(scene) {
      this.scene = scene;
      this.stage = this.scene.stages.length - 1;
      const [frame, controls] = ["frame", "controls"].map((part) => this.figure.querySelector(`.fitloop-${part}`));
      if (this.scene.photo) {
        this.photo = this.add(frame, "img", "");
        Object.assign(this.photo, { src: this.scene.photo, alt: "", draggable: false });
      }
      this.canvas = this.add(frame, "canvas", "");
      Object.assign(this.canvas, { tabIndex: 0, role: "img" });
      this.context = this.canvas.getContext("2d");
      this.buttons = this.scene.stages.length < 2 ? [] : this.scene.stages.map((stage, index) =>
        this.button(controls, stage.name, () => this.show(index)));
      for (const [name, view] of Object.entries(VIEWS)) this.button(controls, name, () => this.glide(view));
      if (this.photo) {
        this.toggle = this.button(controls, "Photo", () => { this.photo.hidden = !this.photo.hidden; this.render(); });
      }
      this.listen();
      new ResizeObserver(() => this.render()).observe(frame);
      this.show(this.stage);
    }

    add(parent, tag, kind) {
      const element = parent.appendChild(document.createElement(tag));
      element.className = kind;
      return element;
    }

    button(parent, name, action) {
      const button = this.add(parent, "button", "");
      Object.assign(button, { type: "button", textContent: name });
      button.addEventListener("click", action);
      return button;
    }

    listen() {
      const canvas = this.canvas;
      canvas.addEventListener("pointerdown", (event) => {
        this.pointers.set(event.pointerId, event);
        canvas.setPointerCapture(event.pointerId);
      });
      canvas.addEventListener("pointermove", (event) => this.drag(event));
      for (const kind of ["pointerup", "pointercancel"]) {
        canvas.addEventListener(kind, (event) => this.pointers.delete(event.pointerId));
      }
      canvas.addEventListener("contextmenu", (event) => event.preventDefault());
      canvas.addEventListener("dblclick", () => this.glide(START));
      canvas.addEventListener("wheel", (event) => {
        // A page full of viewers must still scroll: the wheel zooms only after a click into the picture.
        if (document.activeElement !== canvas && !event.ctrlKey) return;
        event.preventDefault();
        this.change({ zoom: this.state.zoom * Math.exp(0.001 * event.deltaY) });
      }, { passive: false });
      canvas.addEventListener("keydown", (event) => this.key(event));
    }

    drag(event) {
      const before = this.pointers.get(event.pointerId);
      if (!before) return;
      const dx = event.clientX - before.clientX, dy = event.clientY - before.clientY;
      const others = [...this.pointers.values()].filter((p) => p.pointerId !== event.pointerId);
      this.pointers.set(event.pointerId, event);
      if (others.length) {
        const away = (p) => Math.hypot(p.clientX - others[0].clientX, p.clientY - others[0].clientY) || 1;
        this.change({ zoom: this.state.zoom * away(before) / away(event), ...this.moved(dx / 2, dy / 2) });
      } else if (event.shiftKey || event.buttons & 6) {
        this.change(this.moved(dx, dy));
      } else {
        this.change({ yaw: this.state.yaw - 0.01 * dx, pitch: this.state.pitch + 0.01 * dy });
      }
    }

    // Shift of the scene that follows the pointer, metres.
    moved(dx, dy) {
      const metres = this.centre[2] * this.state.zoom / (this.scene.focal * this.fit().scale);
      return { x: this.state.x + dx * metres, y: this.state.y + dy * metres };
    }

    key(event) {
      const { yaw, pitch, zoom } = this.state, turn = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      if (event.key in turn) {
        const [a, b] = turn[event.key];
        this.change(event.shiftKey ? this.moved(-20 * a, 20 * b) : { yaw: yaw + 0.1 * a, pitch: pitch + 0.1 * b });
      } else if (event.key === "+" || event.key === "=") this.change({ zoom: zoom / 1.1 });
      else if (event.key === "-") this.change({ zoom: zoom * 1.1 });
      else if (event.key === "Home" || event.key === "0") this.glide(START);
      else if (/^[1-9]$/.test(event.key) && event.key <= this.scene.stages.length) this.show(event.key - 1);
      else return;
      event.preventDefault();
    }

    change(values) {
      Object.assign(this.state, values);
      this.state.pitch = Math.min(1.5, Math.max(-1.5, this.state.pitch));
      this.state.zoom = Math.min(5, Math.max(0.15, this.state.zoom));
      if (!this.queued) this.queued = requestAnimationFrame(() => { this.queued = 0; this.render(); });
    }

    glide(target) {
      const from = { ...this.state }, begin = performance.now();
      from.yaw = Math.atan2(Math.sin(from.yaw), Math.cos(from.yaw));
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      const step = (now) => {
        const t = still ? 1 : Math.min(1, Math.max(0, (now - begin) / 300)), s = t * t * (3 - 2 * t);
        for (const key of Object.keys(from)) this.state[key] = from[key] + s * (target[key] - from[key]);
        this.render();
        if (t < 1) requestAnimationFrame(step);
      };
      step(begin);
    }

    show(stage) {
      this.stage = stage;
      this.buttons.forEach((button, index) => button.setAttribute("aria-pressed", index === stage));
      this.forget();
      this.render();
    }

    forget() {
      release(this.meshes);
      this.meshes = null;
    }

    prepare() {
      const { name, people } = this.scene.stages[this.stage], body = bodyNamed(this.scene.body);
      this.canvas.setAttribute("aria-label", `${people.length} bodies in 3D, ${name}. Arrow keys turn, plus and minus zoom, `
        + "shift and arrows move, 0 goes back to the photo's view.");
      if (!body || !start()) {
        this.figure.dataset.failed = body ? "This browser offers no WebGL 2, which the 3D view needs."
          : `This page holds no body named ${this.scene.body}.`;
        return false;
      }
      if (this.scene.texture) this.tints ??= decode(this.scene.texture, Uint8Array);
      this.meshes = people.map((person) => upload(body, { ...person, tints: this.tints }));
      if (!this.centre) {
        const places = this.meshes.map((mesh) => mesh.middle);
        this.centre = [0, 1, 2].map((c) => places.reduce((sum, p) => sum + p[c], 0) / Math.max(1, places.length));
        this.depth = Math.max(1, ...this.meshes.map((mesh) => mesh.farthest));
        if (!places.length) this.centre = [0, 0, 3];
      }
      return true;
    }

    // Where photo pixels lie in the frame: x = scale * pixel + left, CSS pixels.
    fit() {
      const [left, top, right, bottom] = this.scene.view, { clientWidth: width, clientHeight: height } = this.canvas;
      const scale = Math.min(width / (right - left), height / (bottom - top));
      return { width, height, scale, left: (width - scale * (left + right)) / 2, top: (height - scale * (top + bottom)) / 2 };
    }

    render() {
      if (!this.visible || !this.canvas.clientWidth || (!this.meshes && !this.prepare())) return;
      const { width, height, scale, left, top } = this.fit(), { focal, principal } = this.scene;
      const { yaw, pitch, zoom, x, y } = this.state, T = this.centre;
      const R = times(rotation(pitch, 0, 0), rotation(0, yaw, 0)), RT = apply(R, T);
      const shift = [T[0] * zoom + x - RT[0], T[1] * zoom + y - RT[1], T[2] * zoom - RT[2]];
      const view = [R[0], R[3], R[6], 0, R[1], R[4], R[7], 0, R[2], R[5], R[8], 0, ...shift, 1];
      const f = focal * scale, cx = principal[0] * scale + left, cy = principal[1] * scale + top;
      const near = 0.05, far = 20 * (this.depth + T[2] * zoom);
      const projection = [2*f/width, 0, 0, 0, 0, -2*f/height, 0, 0,
        2*cx/width - 1, 1 - 2*cy/height, (far + near) / (far - near), 1, 0, 0, -2*far*near / (far - near), 0];
      const dots = Math.min(2, devicePixelRatio || 1);
      this.canvas.width = Math.round(width * dots);
      this.canvas.height = Math.round(height * dots);
      draw(this.meshes, projection, view, this.context);
      this.place((p) => { const q = apply(R, p).map((v, i) => v + shift[i]); return [f*q[0] + cx*q[2], f*q[1] + cy*q[2], q[2]]; },
        (d) => { const q = apply(R, d); return [f*q[0] + cx*q[2], f*q[1] + cy*q[2], q[2]]; });
      this.figure.dataset.drawn = this.scene.stages[this.stage].name;
    }

    // Puts the photo on a plane behind the people by a CSS homography; WebGL may not read pictures beside a local page.
    place(point, direction) {
      if (!this.photo) return;
      const { size: [columns, rows], focal, principal } = this.scene, depth = 1.1 * this.depth, unit = depth / focal;
      const origin = point([-principal[0] * unit, -principal[1] * unit, depth]);
      const right = direction([columns * unit, 0, 0]), down = direction([0, rows * unit, 0]);
      const corners = [0, right[2], down[2], right[2] + down[2]].map((z) => origin[2] + z);
      const seen = Math.cos(this.state.yaw) > 0.1 && Math.min(...corners) > 0.05;
      this.photo.style.visibility = seen ? "visible" : "hidden";
      // The picture is laid out 1000 px wide, so that the browser samples it finely whatever its size.
      const w = 1000, h = 1000 * rows / columns, [u, v, o] = [right.map((a) => a / w), down.map((a) => a / h), origin];
      Object.assign(this.photo.style, { width: `${w}px`, height: `${h}px` });
      const columnsOf = [[u[0], u[1], 0, u[2]], [v[0], v[1], 0, v[2]], [0, 0, 1, 0], [o[0], o[1], 0, o[2]]];
      this.photo.style.transform = `matrix3d(${columnsOf.flat().map((a) => (a / o[2]).toPrecision(8)).join(",")})`;
      this.toggle.setAttribute("aria-pressed", !this.photo.hidden);
    }

    come(visible) {
      this.visible = visible;
      if (!visible) return this.forget();
      if (this.scene) this.render(); else this.find();
    }
  }

  document.addEventListener("fitloop-lost", () => viewers.forEach((viewer) => { viewer.meshes = null; }));
  document.addEventListener("DOMContentLoaded", () => {
    const watch = new IntersectionObserver((entries) => entries.forEach((entry) => entry.target.fitloop.come(entry.isIntersecting)),
      { rootMargin: "200px" });
    for (const figure of document.querySelectorAll("figure.fitloop-viewer")) {
      figure.fitloop = new Viewer(figure, figure.fitloopScene);
      viewers.push(figure.fitloop);
      watch.observe(figure);
    }
  });
  // What a scene's script calls: the tag that loaded it hands the scene over.
  return { viewers, Viewer, arrive: (scene) => { document.currentScript.scene = scene; } };
})();
