// --- the threshold: every category remembers its detector and its threshold
// `changed` is called when what the pictures show may have changed
function thresholdSlider(data, changed) {
  var SVG = "http://www.w3.org/2000/svg", STEPS = 1000, BINS = 60;
  var LEFT = 44, RIGHT = 14, HALF = 62, BASE = 74, HEIGHT = 186; // of the plot, in pixels
  var KINDS = [["good", "#0072B2"], ["defective", "#D55E00"]];
  var controls = {
    category: one("#judge-category"), detector: one("#judge-detector"), show: one("#judge-show"),
    slider: one("#judge-slider"), exact: one("#judge-threshold"), counts: one("#judge-counts"),
    plot: one("#judge-plot"), presets: one("#judge-presets"), exporting: one("#judge-export")
  };
  var state = {};
  function scored(category, detector) {
    return first(data.scores, function (s) { return s.category === category && s.detector === detector; });
  }
  function choose(category, detector) {
    var found = scored(category, detector);
    state[category] = { detector: detector, threshold: found ? found.honest : null };
  }
  Object.keys(data.shown).forEach(function (category) { choose(category, data.shown[category]); });
  function current() {
    var category = controls.category.value, chosen = state[category];
    return { category: category, chosen: chosen, images: data.images[category],
      scored: scored(category, chosen.detector) };
  }

  // --- the axis of the scores: a position is 0 at its lower end and 1 at its upper one
  function position(axis, score) {
    if (axis.log) { return score > 0 ? Math.log(score / axis.low) / Math.log(axis.high / axis.low) : 0; }
    return (score - axis.low) / (axis.high - axis.low);
  }
  function scoreAt(axis, share) {
    var exact = axis.log ? axis.low * Math.pow(axis.high / axis.low, share)
      : axis.low + share * (axis.high - axis.low);
    return Number(exact.toPrecision(6));
  }
  function within(share) { return Math.max(0, Math.min(1, share)); }
  function places() {
    var width = Math.max(280, controls.plot.clientWidth);
    return { width: width, at: function (share) { return LEFT + within(share) * (width - LEFT - RIGHT); } };
  }

  function element(parent, name, attributes, text) {
    var made = document.createElementNS(SVG, name);
    Object.keys(attributes).forEach(function (key) { made.setAttribute(key, attributes[key]); });
    if (text !== undefined) { made.textContent = text; }
    parent.appendChild(made);
    return made;
  }
  function draw() {
    var now = current();
    controls.plot.textContent = "";
    if (!now.scored || !now.scored.axis) { return; }
    var axis = now.scored.axis, place = places(), counts = [[], []];
    for (var bin = 0; bin < BINS; bin += 1) { counts[0].push(0); counts[1].push(0); }
    now.scored.scores.forEach(function (score, number) {
      var at = Math.min(BINS - 1, Math.floor(BINS * within(position(axis, score))));
      counts[now.images.labels[number]][at] += 1;
    });
    var svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("width", place.width);
    svg.setAttribute("height", HEIGHT);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", "Histogram of the scores of good test images above a line, of defective ones below it");
    KINDS.forEach(function (kind, label) {
      var most = Math.max.apply(null, counts[label]);
      if (!most) { return; }
      counts[label].forEach(function (count, at) {
        var left = place.at(at / BINS), size = HALF * count / most;
        if (count) {
          element(svg, "rect", { x: left, width: Math.max(1, place.at((at + 1) / BINS) - left - 1),
            height: size, y: label ? BASE : BASE - size, fill: kind[1] });
        }
      });
      var end = label ? BASE + HALF : BASE - HALF;
      element(svg, "line", { x1: LEFT - 5, x2: LEFT, y1: end, y2: end, stroke: "currentColor" });
      element(svg, "text", { x: LEFT - 8, y: end + 4, "text-anchor": "end" }, most);
    });
    element(svg, "text", { x: 12, y: BASE, "text-anchor": "middle", transform: "rotate(-90 12 " + BASE + ")" }, "images");
    element(svg, "line", { x1: LEFT, x2: LEFT, y1: BASE - HALF, y2: BASE + HALF, stroke: "currentColor" });
    [BASE, BASE + HALF + 4].forEach(function (y) {
      element(svg, "line", { x1: LEFT, x2: place.width - RIGHT, y1: y, y2: y, stroke: "currentColor" });
    });
    var last = -100;
    axis.ticks.forEach(function (tick) {
      var x = place.at(position(axis, tick)), bottom = BASE + HALF + 4;
      element(svg, "line", { x1: x, x2: x, y1: bottom, y2: bottom + 5, stroke: "currentColor" });
      if (x - last > 50) {
        element(svg, "text", { x: x, y: bottom + 18, "text-anchor": "middle" }, Number(tick.toPrecision(6)));
        last = x;
      }
    });
    element(svg, "text", { x: (LEFT + place.width - RIGHT) / 2, y: HEIGHT - 4, "text-anchor": "middle" },
      "anomaly score" + (axis.log ? ", log scale" : "") + " (" + now.scored.unit + ")");
    element(svg, "line", { id: "judge-line", y1: BASE - HALF - 8, y2: BASE + HALF + 4, stroke: "currentColor",
      "stroke-width": 2.5, "stroke-dasharray": "6 3" });
    svg.addEventListener("click", function (event) {
      var x = event.clientX - svg.getBoundingClientRect().left;
      setThreshold(scoreAt(axis, within((x - LEFT) / (place.width - LEFT - RIGHT))));
    });
    controls.plot.appendChild(svg);
  }

  function openCategory() {
    var now = current();
    controls.detector.textContent = "";
    data.scores.forEach(function (each) {
      if (each.category === now.category) {
        controls.detector.appendChild(option(each.detector, data.names[each.detector]));
      }
    });
    controls.detector.value = now.chosen.detector;
    openDetector();
  }
  function openDetector() {
    var now = current();
    controls.presets.textContent = "";
    (now.scored ? now.scored.presets : []).forEach(function (preset) {
      var button = controls.presets.appendChild(document.createElement("button"));
      button.type = "button";
      button.textContent = preset[0];
      button.addEventListener("click", function () { setThreshold(preset[1]); });
    });
    draw();
    rejudge();
  }
  function setThreshold(threshold) {
    state[controls.category.value].threshold = threshold;
    rejudge();
  }

  // --- what the threshold does
  function verdict(label, score, threshold) {
    var called = threshold !== null && score >= threshold;
    return label ? (called ? "found" : "missed") : (called ? "false alarm" : "passed");
  }
  function percent(share) { return Number((100 * share).toPrecision(3)) + " %"; }
  function aboveGood(scored, score) {
    var good = scored.good;
    if (!good.length) { return ""; }
    var lower = good.filter(function (each) { return each < score; }).length;
    if (lower === 0 || lower === good.length) { return lower ? ", above all good parts" : ", above no good part"; }
    return ", above " + (100 * lower / good.length).toFixed(1).replace(".0", "") + " % of good parts";
  }
  function thousand(rate) {
    var value = 1000 * rate;
    return value > 0 && value < 0.5 ? String(Number(value.toPrecision(1))) : value.toFixed(0);
  }
  function told(found, parts, what) {
    if (!found) { return "There are no " + parts + " test images. "; }
    return thousand(found.rate) + " of 1,000 " + parts + " parts " + what + " (" + thousand(found.interval[0]) + " to " +
      thousand(found.interval[1]) + "; " + found.hits + " of " + found.of + " test images). ";
  }
  function rates(now) {
    var hits = [[], []], groups = [[], []], threshold = now.chosen.threshold;
    now.scored.scores.forEach(function (score, place) {
      var label = now.images.labels[place], called = threshold !== null && score >= threshold;
      hits[label].push(label ? 1 - called : Number(called));
      groups[label].push(now.images.groups ? now.images.groups[place] : place);
    });
    return { escapes: shareInterval(hits[1], groups[1]), alarms: shareInterval(hits[0], groups[0]) };
  }
  function rejudge() {
    var now = current(), threshold = now.chosen.threshold;
    controls.exporting.textContent = "";
    if (!now.scored || !now.scored.axis) {
      controls.counts.textContent = now.scored ? "There are no test images." : "The scores of this category are not in the page.";
      changed();
      return;
    }
    var axis = now.scored.axis, does = rates(now);
    var text = told(does.escapes, "defective", "slip through") + told(does.alarms, "good", "are rejected");
    var where = threshold === null ? "no threshold" : "threshold " + Number(threshold.toPrecision(6)) + aboveGood(now.scored, threshold);
    if (threshold !== null) { controls.slider.value = Math.round(STEPS * within(position(axis, threshold))); }
    controls.slider.setAttribute("aria-valuetext", where + ": " + text);
    controls.exact.value = threshold === null ? "" : threshold;
    controls.counts.textContent = "";
    [["escapes", does.escapes], ["alarms", does.alarms]].forEach(function (each) {
      controls.counts.dataset[each[0]] = JSON.stringify(each[1]);
    });
    ["At the " + where + ":", text].forEach(function (line) {
      controls.counts.appendChild(document.createElement("span")).textContent = line;
    });
    tellExport(now);
    var numbers = {};
    now.images.paths.forEach(function (path, place) { numbers["/" + path] = place; });
    all("#gallery .picture").forEach(function (picture) {
      if (!ofCurrent(picture)) { return; }
      var place = numbers["/" + picture.dataset.path], score = now.scored.scores[place];
      var mark = one(".verdict", picture);
      mark.textContent = mark.dataset.verdict = verdict(now.images.labels[place], score, threshold);
    });
    moveLine(axis, threshold);
    changed();
  }
  function moveLine(axis, threshold) {
    var line = one("#judge-line");
    if (threshold === null) { line.style.display = "none"; return; }
    var at = places().at(position(axis, threshold));
    line.style.display = "";
    line.setAttribute("x1", at);
    line.setAttribute("x2", at);
  }

  // --- the command that exports a detector with the nearest threshold that this run or a rate sets
  function quoted(file) {
    return /^[\w@%+=:,.\/-]+$/.test(file) ? file : "'" + file.replace(/'/g, "'\"'\"'") + "'";
  }

  function tellExport(now) {
    var file = now.scored.file, axis = now.scored.axis, threshold = now.chosen.threshold;
    function tell(text, tag) { controls.exporting.appendChild(document.createElement(tag || "span")).textContent = text; }
    if (!file) { tell("This detector cannot be exported."); return; }
    if (threshold === null || !now.scored.rates.length) {
      tell("There are too few good parts to set this threshold by a false-positive rate.");
      return;
    }
    var nearest = now.scored.rates.reduce(function (best, each) {
      function off(pair) { return Math.abs(position(axis, pair[0]) - position(axis, threshold)); }
      return off(each) < off(best) ? each : best;
    });
    var ofRun = nearest[1] === null;
    tell("To export a detector with the nearest threshold that good parts can set, " + Number(nearest[0].toPrecision(6)) +
      (ofRun ? ", that of this run:" : ", for a false-positive rate of " + percent(nearest[1]) + ":"));
    tell(data.command + " -- " + quoted(ofRun ? file : file.replace(/\.onnx$/, "_at_" + nearest[1] + ".onnx")), "code");
  }

  function ofCurrent(picture) {
    return picture.dataset.category === controls.category.value &&
      picture.dataset.detector === state[picture.dataset.category].detector;
  }
  // pictures of this category and detector, and of the verdict that is asked for
  function showsPicture(picture) {
    var mark = one(".verdict", picture).dataset.verdict;
    picture.classList.toggle("elsewhere", !ofCurrent(picture));
    picture.classList.toggle("other", picture.dataset.detector !== state[picture.dataset.category].detector);
    return !controls.show.value || controls.show.value === mark;
  }

  controls.slider.max = STEPS;
  controls.category.addEventListener("change", openCategory);
  controls.detector.addEventListener("change", function () {
    choose(controls.category.value, controls.detector.value);
    openDetector();
  });
  controls.slider.addEventListener("input", function () {
    var now = current();
    if (now.scored && now.scored.axis) { setThreshold(scoreAt(now.scored.axis, controls.slider.value / STEPS)); }
  });
  controls.exact.addEventListener("change", function () {
    if (controls.exact.value !== "") { setThreshold(Number(controls.exact.value)); }
  });
  controls.show.addEventListener("change", changed);
  window.addEventListener("resize", function () { draw(); rejudge(); });
  return {
    open: openCategory,
    shows: showsPicture,
    reset: function () { controls.show.value = ""; },
    // what the page's filters ask for; an empty name asks for nothing
    filter: function (category, detector) {
      if (category) { controls.category.value = category; }
      Object.keys(data.shown).forEach(function (name) {
        choose(name, detector && scored(name, detector) ? detector : data.shown[name]);
      });
      openCategory();
    }
  };
}
