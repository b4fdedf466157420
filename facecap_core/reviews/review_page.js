"use strict";
// One frame number decides what everything shows; a frame is drawn whole before the next one is begun, so that
// pictures, mesh and curves never part, and a slow machine leaves frames out.
(async () => {
  const $ = (id) => document.getElementById(id);
  const told = JSON.parse($("told").textContent);
  const AHEAD = 3; // scenes that are asked for before they are needed
  const KEPT = 96; // scenes in memory
  const size = told.vertices * 3;
  const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const pad = (number) => String(number).padStart(2, "0");

  // --- scenes, as facecap_core/reviews/packed_scene.py writes them
  const scenes = new Map(), loads = new Map();
  const sceneOf = (frame) => Math.floor(frame / told.batch);

  function scene(number) {
    let found = scenes.get(number);
    if (!found) {
      found = load(number);
      found.catch(() => scenes.delete(number));
    }
    scenes.delete(number); // the order is that of use
    scenes.set(number, found);
    if (scenes.size > KEPT) scenes.delete(scenes.keys().next().value);
    return found;
  }

  async function load(number) {
    const held = $(`scene-${number}`);
    if (held) return unpack(bytesOf(held.textContent));
    const stop = new AbortController();
    loads.set(number, stop);
    try {
      const answer = await fetch(`scenes/${number}`, { signal: stop.signal });
      if (!answer.ok) throw new Error(await answer.text());
      return await unpack(new Uint8Array(await answer.arrayBuffer()));
    } catch (error) {
      throw error instanceof TypeError ? new Error("the review has ended: start `farm review` again") : error;
    } finally {
      loads.delete(number);
    }
  }

  async function unpack(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const n = view.getUint32(0, true), packed = view.getUint32(4, true);
    const at = 8 + 4 * n;
    const low = [0, 1, 2].map((axis) => view.getFloat32(at + 4 * axis, true));
    const step = view.getFloat32(at + 12, true);
    const stream = new Blob([bytes.subarray(at + 16, at + 16 + packed)]).stream();
    const inflated = stream.pipeThrough(new DecompressionStream("deflate"));
    const planes = new Uint8Array(await new Response(inflated).arrayBuffer());
    const count = planes.length / 2, whole = new Uint16Array(count);
    for (let i = 0; i < count; i++) {
      const code = planes[i] | (planes[count + i] << 8);
      whole[i] = (code >> 1) ^ -(code & 1);
      if (i >= size) whole[i] += whole[i - (i < (n + 1) * size ? 1 : n) * size];
    }
    const pictures = [];
    for (let i = 0, from = at + 16 + packed; i < n; i++) {
      const length = view.getUint32(8 + 4 * i, true);
      pictures.push(new Blob([bytes.subarray(from, from + length)], { type: "image/jpeg" }));
      from += length;
    }
    const mesh = (number, into) => {
      for (let i = 0, from = number * size; i < size; i++) into[i] = low[i % 3] + step * whole[from + i];
      return into;
    };
    return {
      pictures,
      before: (index, into) => mesh(index, into),
      result: (index, into) => mesh(index + 1, into),
      target: (index, into) => mesh(index + 1 + n, into),
    };
  }

  // --- drawing
  const result = new Float32Array(size), other = new Float32Array(size);
  const attribute = new Float32Array(told.vertices);
  const colours = $("colours"), wait = $("wait"), target = $("target");
  const canvas = $("picture").getContext("2d");
  const plot = await k3d.CreateK3DAndLoadBinarySnapshot(bytesOf($("mesh").textContent).buffer, $("stage"));
  const [object] = Object.values(plot.getWorld().ObjectsListJson);
  const clay = [0, 0.78, 0.78, 0.78, 1, 0.78, 0.78, 0.78];
  let shown = "";

  function distances(from, to) {
    for (let v = 0, i = 0; v < told.vertices; v++, i += 3)
      attribute[v] = told.mm_per_unit * Math.hypot(from[i] - to[i], from[i + 1] - to[i + 1], from[i + 2] - to[i + 2]);
  }

  async function draw(frame) {
    const held = await scene(sceneOf(frame)), index = frame % told.batch;
    const bitmap = await createImageBitmap(held.pictures[index]);
    const how = colours.value;
    held.result(index, result);
    if (how === "distance") distances(result, held.target(index, other));
    else if (how === "motion") distances(result, held.before(index, other));
    const vertices = target && target.checked ? held.target(index, other) : result;
    const changes = { vertices: { data: vertices, shape: [told.vertices, 3] }, attribute: { data: attribute, shape: [told.vertices] } };
    if (how !== shown) {
      const top = told.tops_mm[how] || 1;
      const map = new Float32Array(how === "none" ? clay : told.colours);
      changes.color_map = { data: map, shape: [map.length] };
      changes.color_range = [0, top];
      $("unit").textContent = { distance: "mm", motion: "mm/frame", none: "" }[how];
    }
    Object.assign(object, changes);
    await plot.reload(object, changes);
    if (how !== shown) plot.setColorMapLegend(how === "none" ? 0 : object);
    shown = how;
    canvas.drawImage(bitmap, 0, 0);
    bitmap.close();
    mark(frame);
  }

  // As facecap_core/timecode.py has it: some numbers are left out in each minute but every tenth one.
  function timecode(frame) {
    const { start, rate, dropped } = told.timecode;
    const tens = Math.floor((start + frame) / (600 * rate - 9 * dropped)), rest = (start + frame) % (600 * rate - 9 * dropped);
    const place = start + frame + dropped * (9 * tens + Math.floor(Math.max(0, rest - dropped) / (60 * rate - dropped)));
    const second = Math.floor(place / rate);
    const parts = [(second / 3600) % 24, (second / 60) % 60, second % 60, place % rate].map((part) => pad(Math.floor(part)));
    return `${parts.slice(0, 3).join(":")}${dropped ? ";" : ":"}${parts[3]}`;
  }

  function mark(frame) {
    $("frame").textContent = told.start_frame + frame;
    $("timecode").textContent = timecode(frame);
    $("mended").hidden = !told.corrected.some(([first, last]) => first <= frame && frame <= last);
    $("cursor").style.left = `${(100 * frame) / Math.max(1, told.frames - 1)}%`;
    for (const { span, values, unit } of readings) span.textContent = values[frame] === null ? "–" : `${values[frame].toFixed(2)} ${unit}`.trim();
  }

  // --- which frame
  let wanted = 0, drawn = -1, busy = false, playing = false, from = 0, began = 0, chosen = null;

  const within = (frame) => Math.min(Math.max(Math.round(frame), 0), told.frames - 1);

  async function go(frame) {
    wanted = within(frame);
    if (busy) return;
    busy = true;
    const late = setTimeout(() => { wait.textContent = "reading the footage"; wait.hidden = false; }, 200);
    try {
      while (drawn !== wanted) {
        const next = wanted, start = performance.now();
        try {
          await draw(next);
        } catch (error) {
          if (error.name === "AbortError") continue; // another place is wanted by now
          throw error;
        }
        drawn = next;
        if (performance.now() - start > 250) restart(drawn); // it waited: time stood still
        for (let ahead = 1; ahead <= AHEAD && (sceneOf(next) + ahead) * told.batch < told.frames; ahead++)
          scene(sceneOf(next) + ahead).catch(() => {});
      }
      wait.hidden = true;
    } catch (error) {
      pause();
      wanted = drawn;
      wait.textContent = error.message;
      wait.hidden = false;
    }
    clearTimeout(late);
    busy = false;
  }

  function redraw() { drawn = -1; go(wanted); }
  function restart(frame) { from = frame; began = performance.now(); }

  function seek(frame) {
    const number = sceneOf(within(frame));
    for (const [other, stop] of loads) if (other < number || other > number + AHEAD) stop.abort();
    restart(frame);
    go(frame);
  }

  function pause() { playing = false; $("play").textContent = "play"; }

  function play() {
    if (playing) return pause();
    playing = true;
    $("play").textContent = "pause";
    seek(wanted === told.frames - 1 ? 0 : wanted);
  }

  function tick(now) {
    requestAnimationFrame(tick);
    if (!playing) return;
    const [first, last] = chosen ? [chosen.first, chosen.last] : [0, told.frames - 1];
    const frame = from + Math.floor((Math.max(now - began, 0) / 1000) * told.fps * $("speed").value);
    if (frame <= last || wanted > last) return frame < told.frames ? go(frame) : $("loop").checked ? seek(0) : pause();
    if ($("loop").checked) return seek(first);
    go(last);
    pause();
  }

  // --- curves and flags
  const svg = "http://www.w3.org/2000/svg", inks = ["#1d2126", "#0072b2"], readings = [];

  for (const { unit, top, lines } of told.curves) {
    const strip = document.createElement("div"), drawing = document.createElementNS(svg, "svg");
    const words = document.createElement("div"), scale = document.createElement("div");
    strip.className = "strip";
    drawing.setAttribute("viewBox", `0 0 ${Math.max(1, told.frames - 1)} ${top}`);
    drawing.setAttribute("preserveAspectRatio", "none");
    scale.textContent = `${top} ${unit}`;
    lines.forEach(({ name, values }, number) => {
      const path = document.createElementNS(svg, "path"), span = document.createElement("b");
      let pen = "M";
      const points = values.map((value, frame) => {
        const point = value === null ? "" : `${pen}${frame} ${top - value}`;
        pen = value === null ? "M" : "L";
        return point;
      });
      path.setAttribute("d", points.join(""));
      path.setAttribute("stroke", inks[number]);
      span.style.color = inks[number];
      drawing.append(path);
      words.append(number ? ", " : "", `${name} `, span);
      readings.push({ span, values, unit });
    });
    strip.append(words, scale, drawing);
    $("strips").insertBefore(strip, $("over"));
  }

  const place = (frame) => (100 * frame) / Math.max(1, told.frames - 1);

  for (const [first, last] of told.corrected) { // below the flags
    const part = document.createElement("div");
    part.className = "mended";
    part.title = `corrected, ${told.start_frame + first}–${told.start_frame + last}`;
    part.style.left = `${place(first)}%`;
    part.style.width = `${place(last) - place(first)}%`;
    $("lane").append(part);
  }

  const longest = told.flags.map((flag, number) => [flag, number]).sort(([a], [b]) => b.last - b.first - (a.last - a.first));
  for (const [flag, number] of longest) { // those inside others lie above them
    const button = document.createElement("button"), band = document.createElement("div");
    button.dataset.flag = number;
    button.title = `${flag.reason}, ${told.start_frame + flag.first}–${told.start_frame + flag.last}: ${flag.detail}`;
    band.className = "band";
    for (const part of [button, band]) {
      part.style.left = `${place(flag.first)}%`;
      part.style.width = `${Math.max(0.1, place(flag.last) - place(flag.first))}%`;
    }
    $("lane").append(button);
    $("over").append(band);
  }

  function choose(number) {
    chosen = number === null ? null : told.flags[number];
    for (const part of document.querySelectorAll("[data-flag]")) part.classList.toggle("on", Number(part.dataset.flag) === number && chosen !== null);
    if (chosen) seek(chosen.first);
  }

  function neighbour(way) {
    const order = told.flags.map((flag, number) => [flag.first, number]).sort((a, b) => way * (a[0] - b[0]));
    const next = order.find(([first]) => way * (first - wanted) > 0);
    if (next) choose(next[1]);
  }

  document.addEventListener("click", (event) => {
    const part = event.target.closest("[data-flag]");
    if (part) choose(Number(part.dataset.flag));
  });

  function drag(event) {
    if (event.target.closest("[data-flag]") || !(event.buttons & 1)) return;
    const box = $("over").getBoundingClientRect();
    choose(null);
    seek(((event.clientX - box.left) / box.width) * (told.frames - 1));
  }

  $("strips").addEventListener("pointerdown", drag);
  $("strips").addEventListener("pointermove", drag);
  $("play").addEventListener("click", play);
  $("speed").addEventListener("change", () => restart(wanted));
  $("front").addEventListener("click", () => plot.setCamera(told.camera));
  colours.addEventListener("change", redraw);
  if (target) target.addEventListener("change", redraw);
  if ($("others")) $("others").addEventListener("change", (event) => { location.href = `../${event.target.value}/`; });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.tagName === "SELECT") return;
    const keys = {
      " ": play,
      ArrowLeft: () => { pause(); seek(wanted - 1); },
      ArrowRight: () => { pause(); seek(wanted + 1); },
      Home: () => seek(0),
      End: () => seek(told.frames - 1),
      n: () => neighbour(1),
      p: () => neighbour(-1),
      f: () => plot.setCamera(told.camera),
      t: () => target && target.click(),
    };
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  requestAnimationFrame(tick);
  go(Number(location.hash.slice(1) || told.start_frame) - told.start_frame || 0); // page.html#1120 begins at frame 1120
})().catch((error) => {
  document.getElementById("wait").textContent = `cannot be shown: ${error.message || error}`;
});
