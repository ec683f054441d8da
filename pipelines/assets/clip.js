"use strict";
// Plays the film and the bodies in 3D together along one time line. The script beside the page brings the bodies: pose and
// shape of every person, stage and frame in 16 bits; what is shown is skinned frame by frame by the page's viewer.
const fitloopClip = (() => {
  const { decode } = fitloopMesh;
  const POSE = Math.PI / 32767, SHAPE = 1 / 2000, JOINTS = 72;
  const $ = (id) => document.getElementById(id);
  let clip = null, frame = 0, playing = false, speed = 1, own = 0, last = 0;

  const arrive = (data) => { clip = data; };

  function begin(address) {
    if (!clip) {
      $("bodies").dataset.failed = `${address} is missing: keep it beside this page.`;
      return;
    }
    for (const person of clip.people) {
      person.shown = true;
      person.seen = decode(person.seen, Uint8Array);
      for (const stage of Object.values(person.stages)) {
        stage.pose = decode(stage.pose, Int16Array);
        stage.betas = decode(stage.betas, Int16Array);
        stage.transl = decode(stage.transl, Float32Array);
      }
    }
    // The viewer asks for people when it draws, so it always gets those of the frame of now.
    const stages = clip.stages.map((name) => ({ name, get people() { return peopleNow(name); } }));
    $("bodies").fitloopScene = { ...clip.scene, photo: null, stages };
    document.addEventListener("DOMContentLoaded", () => {
      Object.assign($("bodies").fitloop, { centre: clip.centre, depth: clip.depth });
      list();
      listen();
      show(0);
    });
  }

  function peopleNow(name) {
    return clip.people.filter((person) => person.shown && row(person) >= 0).map((person) => {
      const at = row(person), stage = person.stages[name], betas = stage.betas.length / person.frames;
      return {
        color: person.color,
        pose: Array.from(stage.pose.subarray(JOINTS * at, JOINTS * (at + 1)), (v) => v * POSE),
        betas: Array.from(stage.betas.subarray(betas * at, betas * (at + 1)), (v) => v * SHAPE),
        transl: Array.from(stage.transl.subarray(3 * at, 3 * at + 3)),
      };
    });
  }

  // Row of a person in the frame of now, -1 where they are not there.
  function row(person) {
    const at = frame - person.first;
    return at >= 0 && at < person.frames ? at : -1;
  }

  function show(next) {
    frame = Math.min(clip.frames - 1, Math.max(0, next));
    $("time").value = frame;
    const seconds = frame / clip.rate, minutes = Math.floor(seconds / 60);
    $("clock").textContent = `${minutes}:${(seconds - 60 * minutes).toFixed(2).padStart(5, "0")}, frame ${frame}`;
    document.querySelectorAll(".bar i").forEach((mark) => { mark.style.left = `${100 * (frame + 0.5) / clip.frames}%`; });
    redraw();
  }

  function redraw() {
    const viewer = $("bodies").fitloop;
    if (!viewer.scene) return;
    viewer.forget();
    viewer.render();
  }

  // A moment inside the frame: at its very beginning browsers may still show the one before.
  function seek(next) {
    show(next);
    own = frame / clip.rate;
    if (filmed()) $("video").currentTime = (frame + 0.4) / clip.rate;
  }

  const filmed = () => $("video").readyState > 0 && !$("video").error;

  function play(on) {
    playing = on;
    $("play").innerHTML = on ? "&#10074;&#10074;" : "&#9654;";
    $("play").setAttribute("aria-label", on ? "Pause" : "Play");
    const video = $("video");
    if (on && frame >= clip.frames - 1) seek(0);
    video.playbackRate = speed;
    if (filmed()) on ? video.play().catch(() => {}) : video.pause();
    last = performance.now();
    own = frame / clip.rate;
    if (on) requestAnimationFrame(tick);
  }

  function tick(now) {
    if (!playing) return;
    own += speed * (now - last) / 1000;
    last = now;
    // The film is the clock where it plays; a browser without its codec still shows the bodies.
    const video = $("video"), time = filmed() ? video.currentTime : own;
    const next = Math.min(clip.frames - 1, Math.floor(time * clip.rate + 1e-3));
    if (next !== frame) show(next);
    if (frame >= clip.frames - 1 || (filmed() && video.ended)) return play(false);
    requestAnimationFrame(tick);
  }

  function list() {
    for (const person of clip.people) {
      const button = $("people").appendChild(document.createElement("button"));
      Object.assign(button, { type: "button", textContent: `Person ${person.track}` });
      button.style.setProperty("--person", person.color.map((c) => Math.round(255 * c)).join(" "));
      button.setAttribute("aria-pressed", "true");
      button.addEventListener("click", () => {
        person.shown = !person.shown;
        button.setAttribute("aria-pressed", person.shown);
        redraw();
      });
      const bar = $("people").appendChild(document.createElement("div")), canvas = document.createElement("canvas");
      bar.className = "bar";
      bar.append(canvas, document.createElement("i"));
      mark(canvas, person);
      bar.addEventListener("pointerdown", (event) => {
        const box = bar.getBoundingClientRect();
        seek(Math.floor(clip.frames * (event.clientX - box.left) / box.width));
      });
    }
  }

  function mark(canvas, person) {
    canvas.width = Math.min(clip.frames, 4096);
    canvas.height = 1;
    const context = canvas.getContext("2d"), color = person.color.map((c) => Math.round(255 * c)).join(" ");
    for (let x = 0; x < canvas.width; x++) {
      const at = Math.floor((x + 0.5) * clip.frames / canvas.width) - person.first;
      if (at < 0 || at >= person.frames) continue;
      context.fillStyle = `rgb(${color} / ${person.seen[at] ? 1 : 0.4})`;
      context.fillRect(x, 0, 1, 1);
    }
  }

  function listen() {
    $("play").addEventListener("click", () => play(!playing));
    $("video").addEventListener("click", () => play(!playing));
    $("time").addEventListener("input", () => { play(false); seek(Number($("time").value)); });
    $("speed").addEventListener("change", () => {
      speed = Number($("speed").value);
      $("video").playbackRate = speed;
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== " " || /^(BUTTON|SELECT|INPUT|TEXTAREA)$/.test(event.target.tagName)) return;
      event.preventDefault();
      play(!playing);
    });
  }

  return { arrive, begin, seek, play, now: () => ({ frame, playing, film: filmed() }) };
})();
