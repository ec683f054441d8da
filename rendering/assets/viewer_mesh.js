"use strict";
// Bodies from pose and shape parameters, skinned from one embedded body, and the one WebGL context that draws them for all
// viewers of the page. Camera frame: x right, y down, z forward, metres. Light and tone are those of rendering/shading.py.
const fitloopMesh = (() => {
  const VERTEX = `#version 300 es
    in vec3 place; in vec3 normal; in vec3 tint; uniform mat4 projection; uniform mat4 view; out vec3 n; out vec3 p; out vec3 t;
    void main() { t = tint; vec4 q = view * vec4(place, 1.0); p = q.xyz; n = mat3(view) * normal; gl_Position = projection * q; }`;
  const FRAGMENT = `#version 300 es
    precision highp float; in vec3 n; in vec3 p; in vec3 t; uniform vec3 color; out vec4 picture;
    vec3 light(vec3 d, vec3 c, float wrap, vec3 m) { return c * max(0.0, (dot(m, normalize(d)) + wrap) / (1.0 + wrap)); }
    void main() {
      vec3 m = normalize(n), eye = normalize(-p);
      float sky = 0.5 - 0.5 * m.y;
      vec3 sum = mix(vec3(.09, .085, .085), vec3(.25, .27, .31), sky)
        + light(vec3(-.6, -.8, -.6), vec3(1.05, 1.0, .92), .15, m)
        + light(vec3(.95, -.05, -.45), vec3(.14, .17, .22), .4, m)
        + light(vec3(.45, -.5, .8), vec3(.5, .53, .58), .05, m);
      float grazing = 1.0 - clamp(dot(m, eye), 0.0, 1.0);
      float gloss = pow(max(0.0, dot(m, normalize(eye + normalize(vec3(-.6, -.8, -.6))))), 24.0);
      vec3 c = pow(color * t, vec3(2.2)) * sum + .09 * gloss + .22 * grazing * grazing * grazing * sky;
      c = mix(c, .6 + .4 * (1.0 - exp(-(c - .6) / .4)), step(.6, c));
      picture = vec4(pow(clamp(c, 0.0, 1.0), vec3(1.0 / 2.2)), 1.0);
    }`;
  const bodies = new Map();
  let gpu = null;

  const decode = (text, Type) => new Type(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);

  function bodyNamed(name) {
    if (!bodies.has(name)) {
      const tag = [...document.querySelectorAll("script.fitloop-body")].find((s) => s.dataset.body === name);
      if (!tag) return null;
      const raw = JSON.parse(tag.textContent);
      bodies.set(name, {
        count: raw.vertices, parents: raw.parents, betas: raw.betas,
        template: decode(raw.template, Int16Array), unit: raw.template_unit,
        directions: decode(raw.directions, Int16Array), units: raw.direction_units,
        joints: decode(raw.joints, Float32Array), jointDirections: decode(raw.joint_directions, Float32Array),
        bones: decode(raw.bones, Uint8Array), weights: decode(raw.weights, Uint16Array),
        faces: raw.vertices < 65536 ? decode(raw.faces, Uint16Array) : decode(raw.faces, Uint32Array),
      });
    }
    return bodies.get(name);
  }

  function rotation(x, y, z) {
    const angle = Math.hypot(x, y, z);
    if (angle < 1e-9) return [1, -z, y, z, 1, -x, -y, x, 1];
    const [a, b, c] = [x / angle, y / angle, z / angle];
    const s = Math.sin(angle), k = Math.cos(angle), t = 1 - k;
    return [t*a*a + k, t*a*b - s*c, t*a*c + s*b, t*a*b + s*c, t*b*b + k, t*b*c - s*a, t*a*c - s*b, t*b*c + s*a, t*c*c + k];
  }
  const times = (A, B) => [0, 3, 6].flatMap((r) => [0, 1, 2].map((c) => A[r]*B[c] + A[r+1]*B[3+c] + A[r+2]*B[6+c]));
  const apply = (A, v) => [0, 3, 6].map((r) => A[r]*v[0] + A[r+1]*v[1] + A[r+2]*v[2]);
  const subtract = (a, b) => a.map((v, i) => v - b[i]);
  const add = (a, b) => a.map((v, i) => v + b[i]);

  // Each joint's rotation and shift (Loper et al. 2015, eq. 3), 12 numbers a joint.
  function boneTransforms(body, person) {
    const rest = [], world = [], place = [], out = new Float32Array(12 * body.parents.length);
    body.parents.forEach((parent, j) => {
      rest.push([0, 1, 2].map((c) => {
        let v = body.joints[3*j + c];
        person.betas.forEach((beta, b) => { v += beta * body.jointDirections[(3*j + c) * body.betas + b]; });
        return v;
      }));
      const local = rotation(...person.pose.slice(3*j, 3*j + 3));
      world.push(parent < 0 ? local : times(world[parent], local));
      place.push(parent < 0 ? rest[j] : add(place[parent], apply(world[parent], subtract(rest[j], rest[parent]))));
      const shift = add(subtract(place[j], apply(world[j], rest[j])), person.transl);
      for (let r = 0; r < 3; r++) out.set([...world[j].slice(3*r, 3*r + 3), shift[r]], 12*j + 4*r);
    });
    return out;
  }

  // Vertex positions in the camera frame, metres: shape, then linear blend skinning (eq. 8 and 2).
  function skin(body, person) {
    const n = 3 * body.count, shaped = new Float32Array(n), out = new Float32Array(n), A = boneTransforms(body, person);
    for (let i = 0; i < n; i++) shaped[i] = body.template[i] * body.unit;
    person.betas.forEach((beta, b) => {
      const scale = beta * body.units[b], first = b * n;
      for (let i = 0; i < n; i++) shaped[i] += scale * body.directions[first + i];
    });
    if (person.offsets) decode(person.offsets, Int16Array).forEach((v, i) => { shaped[i] += person.offset_unit * v; });
    for (let v = 0; v < body.count; v++) {
      const x = shaped[3*v], y = shaped[3*v + 1], z = shaped[3*v + 2];
      let px = 0, py = 0, pz = 0;
      for (let k = 4*v; k < 4*v + 4; k++) {
        const w = body.weights[k] / 65535, a = 12 * body.bones[k];
        if (w === 0) continue;
        px += w * (A[a]*x + A[a+1]*y + A[a+2]*z + A[a+3]);
        py += w * (A[a+4]*x + A[a+5]*y + A[a+6]*z + A[a+7]);
        pz += w * (A[a+8]*x + A[a+9]*y + A[a+10]*z + A[a+11]);
      }
      out[3*v] = px; out[3*v + 1] = py; out[3*v + 2] = pz;
    }
    return out;
  }

  function normalsOf(p, faces) {
    const n = new Float32Array(p.length);
    for (let f = 0; f < faces.length; f += 3) {
      const i = 3*faces[f], j = 3*faces[f+1], k = 3*faces[f+2];
      const ax = p[j]-p[i], ay = p[j+1]-p[i+1], az = p[j+2]-p[i+2], bx = p[k]-p[i], by = p[k+1]-p[i+1], bz = p[k+2]-p[i+2];
      const x = ay*bz - az*by, y = az*bx - ax*bz, z = ax*by - ay*bx;
      for (const v of [i, j, k]) { n[v] += x; n[v+1] += y; n[v+2] += z; }
    }
    return n;
  }

  function startGpu() {
    const canvas = document.createElement("canvas");
    const gl = canvas.getContext("webgl2", { alpha: true, antialias: true, premultipliedAlpha: true });
    if (!gl) return null;
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source); gl.compileShader(shader); gl.attachShader(program, shader);
    }
    gl.bindAttribLocation(program, 0, "place"); gl.bindAttribLocation(program, 1, "normal"); gl.bindAttribLocation(program, 2, "tint");
    gl.linkProgram(program);
    gl.useProgram(program);
    gl.enable(gl.DEPTH_TEST);
    gl.vertexAttrib3f(2, 1, 1, 1);
    canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      gpu = null;
      document.dispatchEvent(new Event("fitloop-lost"));
    });
    const at = (name) => gl.getUniformLocation(program, name);
    return { canvas, gl, faces: new Map(), at: { projection: at("projection"), view: at("view"), color: at("color") } };
  }

  function upload(body, person) {
    const { gl, faces } = gpu, vao = gl.createVertexArray(), place = skin(body, person), buffers = [];
    gl.bindVertexArray(vao);
    [place, normalsOf(place, body.faces)].forEach((data, slot) => {
      buffers.push(gl.createBuffer());
      gl.bindBuffer(gl.ARRAY_BUFFER, buffers[slot]);
      gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
      gl.enableVertexAttribArray(slot);
      gl.vertexAttribPointer(slot, 3, gl.FLOAT, false, 0, 0);
    });
    if (person.tints) {
      buffers.push(gl.createBuffer());
      gl.bindBuffer(gl.ARRAY_BUFFER, buffers[2]);
      gl.bufferData(gl.ARRAY_BUFFER, person.tints, gl.STATIC_DRAW);
      gl.enableVertexAttribArray(2);
      gl.vertexAttribPointer(2, 3, gl.UNSIGNED_BYTE, true, 0, 0);
    }
    if (!faces.has(body)) {
      faces.set(body, gl.createBuffer());
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, faces.get(body));
      gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, body.faces, gl.STATIC_DRAW);
    }
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, faces.get(body));
    gl.bindVertexArray(null);
    const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
    place.forEach((v, i) => { low[i % 3] = Math.min(low[i % 3], v); high[i % 3] = Math.max(high[i % 3], v); });
    return { vao, buffers, body, color: person.color, middle: low.map((v, i) => (v + high[i]) / 2), farthest: high[2] };
  }

  function release(meshes) {
    if (!gpu || !meshes) return;
    for (const mesh of meshes) { gpu.gl.deleteVertexArray(mesh.vao); mesh.buffers.forEach((b) => gpu.gl.deleteBuffer(b)); }
  }

  // Draws meshes into the shared canvas and copies them to a 2D one of the same size, in device pixels.
  function draw(meshes, projection, view, context) {
    const { canvas, gl, at } = gpu, { width, height } = context.canvas;
    if (canvas.width < width) canvas.width = width;
    if (canvas.height < height) canvas.height = height;
    gl.viewport(0, canvas.height - height, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.uniformMatrix4fv(at.projection, false, projection);
    gl.uniformMatrix4fv(at.view, false, view);
    for (const mesh of meshes) {
      gl.uniform3fv(at.color, mesh.color);
      gl.bindVertexArray(mesh.vao);
      const type = mesh.body.faces instanceof Uint16Array ? gl.UNSIGNED_SHORT : gl.UNSIGNED_INT;
      gl.drawElements(gl.TRIANGLES, mesh.body.faces.length, type, 0);
    }
    gl.bindVertexArray(null);
    context.clearRect(0, 0, width, height);
    context.drawImage(canvas, 0, 0, width, height, 0, 0, width, height);
  }

  return { bodyNamed, decode, skin, upload, release, draw, rotation, times, apply, start: () => Boolean(gpu || (gpu = startGpu())) };
})();
