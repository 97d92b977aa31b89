(function () {
  "use strict";
  var data = JSON.parse(document.getElementById("data").textContent);
  var decision = data.decision;
  var SVG = "http://www.w3.org/2000/svg";

  function one(selector, from) { return (from || document).querySelector(selector); }
  function all(selector, from) { return Array.prototype.slice.call((from || document).querySelectorAll(selector)); }
  function find(list, test) { return list.filter(test)[0]; }
  function option(value, text) {
    var element = document.createElement("option");
    element.value = value;
    element.textContent = text;
    return element;
  }

  // --- tables sort by a click on a heading; cells without a value stay last
  function value(row, column) {
    var cell = row.cells[column];
    var text = cell.hasAttribute("data-value") ? cell.getAttribute("data-value") : cell.textContent.trim();
    if (text === "" || text === "–") { return null; }
    return isNaN(Number(text)) ? text : Number(text);
  }
  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") { return a - b; }
    return String(a).localeCompare(String(b));
  }
  function sortBy(table, column, heading) {
    var down = heading.getAttribute("aria-sort") === "ascending";
    all("th[aria-sort]", table).forEach(function (other) { other.removeAttribute("aria-sort"); });
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    var rows = all("tbody tr", table).map(function (row, place) {
      return { row: row, key: value(row, column), place: place };
    });
    rows.sort(function (a, b) {
      if (a.key === null || b.key === null) {
        return (a.key === null) - (b.key === null) || a.place - b.place;
      }
      return (down ? -1 : 1) * compare(a.key, b.key) || a.place - b.place;
    });
    rows.forEach(function (entry) { entry.row.parentNode.appendChild(entry.row); });
  }
  all("table.sortable").forEach(function (table) {
    all("thead th", table).forEach(function (heading, column) {
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = heading.textContent;
      heading.textContent = "";
      heading.appendChild(button);
      button.addEventListener("click", function () { sortBy(table, column, heading); });
    });
  });

  // --- one filter for all sections
  var filters = { category: one("#filter-category"), detector: one("#filter-detector"), defect: one("#filter-defect") };
  function applyFilters() {
    var category = filters.category.value, detector = filters.detector.value, defect = filters.defect.value;
    all("[data-category], main [data-detector], [data-defect]").forEach(function (element) {
      var own = element.dataset;
      element.hidden = Boolean(
        (category && own.category !== undefined && own.category !== category) ||
        (detector && own.detector !== undefined && own.detector !== detector) ||
        (defect && own.defect !== undefined && own.defect !== defect) ||
        (own.path !== undefined && !shownByVerdict(element)));
    });
    all("[data-points]").forEach(function (row) {
      row.classList.toggle("asked", detector !== "" && row.dataset.points === detector);
      if (detector && row.dataset.points !== detector) { row.hidden = true; }
    });
  }

  // --- the threshold: every category remembers its detector and its threshold
  var judge = {
    category: one("#judge-category"), detector: one("#judge-detector"), show: one("#judge-show"),
    slider: one("#judge-slider"), exact: one("#judge-threshold"), counts: one("#judge-counts"),
    plot: one("#judge-plot"), presets: one("#judge-presets")
  };
  var state = {};
  decision.categories.forEach(function (entry) {
    state[entry.category] = { detector: entry.shown, threshold: cell(entry.category, entry.shown).honest.threshold };
  });
  function cell(category, detector) {
    return find(decision.cells, function (c) { return c.category === category && c.detector === detector; });
  }
  function scoresOf(category, detector) {
    var found = find(data.scores, function (s) { return s.category === category && s.detector === detector; });
    return found ? found.scores : null;
  }
  function verdict(label, score, threshold) {
    var called = threshold !== null && score >= threshold;
    return label ? (called ? "found" : "missed") : (called ? "false alarm" : "passed");
  }
  function count(labels, scores, threshold) {
    var counts = { "found": 0, "missed": 0, "false alarm": 0, "passed": 0 };
    scores.forEach(function (score, place) { counts[verdict(labels[place], score, threshold)] += 1; });
    return counts;
  }
  function distinct(scores) {
    var sorted = scores.slice().sort(function (a, b) { return a - b; });
    return sorted.filter(function (score, place) { return place === 0 || score !== sorted[place - 1]; });
  }
  function shownByVerdict(picture) {
    var mark = one(".verdict", picture).dataset.verdict;
    return !judge.show.value || judge.show.value === mark;
  }
  function percent(part, whole) { return whole ? (100 * part / whole).toFixed(1) + " %" : "–"; }

  var steps = [];
  function current() {
    var category = judge.category.value;
    return {
      category: category, chosen: state[category], images: data.images[category],
      scores: scoresOf(category, state[category].detector)
    };
  }
  function openCategory() {
    var now = current();
    var names = decision.cells.filter(function (c) {
      return c.category === now.category && scoresOf(c.category, c.detector);
    }).map(function (c) { return c.detector; });
    judge.detector.textContent = "";
    names.forEach(function (name) { judge.detector.appendChild(option(name, data.names[name])); });
    judge.detector.value = now.chosen.detector;
    openDetector();
  }
  function openDetector() {
    var now = current();
    steps = now.scores ? distinct(now.scores) : [];
    judge.slider.max = steps.length; // the last step lies above all scores
    judge.presets.textContent = "";
    if (now.scores) {
      var figures = cell(now.category, now.chosen.detector);
      preset("honest, asked " + 100 * figures.honest.asked + " %", figures.honest.threshold);
      figures.points.forEach(function (point) {
        if (point.rule === figures.honest.rule && point.asked !== figures.honest.asked) {
          preset("asked " + 100 * point.asked + " %", point.threshold);
        }
      });
      if (figures.cost_point) { preset("least cost", figures.cost_point.threshold); }
      preset("oracle (seen the labels)", figures.oracle_threshold);
    }
    draw();
    rejudge();
  }
  function preset(text, threshold) {
    if (threshold === null || threshold === undefined) { return; }
    var button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.addEventListener("click", function () { setThreshold(threshold); });
    judge.presets.appendChild(button);
  }
  function setThreshold(threshold) {
    state[judge.category.value].threshold = threshold;
    rejudge();
  }
  function rejudge() {
    var now = current(), threshold = now.chosen.threshold;
    if (!now.scores) {
      judge.counts.textContent = "The scores of this category are not in the page.";
      return;
    }
    var reached = steps.filter(function (score) { return threshold === null || score < threshold; }).length;
    judge.slider.value = reached;
    judge.exact.value = threshold === null ? "" : threshold;
    judge.slider.setAttribute("aria-valuetext", threshold === null ? "no threshold" : "threshold " + threshold.toPrecision(6));
    var counts = count(now.images.labels, now.scores, threshold);
    var defective = counts.found + counts.missed, good = counts["false alarm"] + counts.passed;
    judge.counts.textContent = "Of " + defective + " defective images " + counts.found + " found, " + counts.missed +
      " slip through (" + percent(counts.missed, defective) + "). Of " + good + " good images " + counts["false alarm"] +
      " rejected (" + percent(counts["false alarm"], good) + "), " + counts.passed + " passed.";
    ["found", "missed", "false alarm", "passed"].forEach(function (name) {
      judge.counts.setAttribute("data-" + name.replace(" ", "-"), counts[name]);
    });
    var places = {};
    now.images.paths.forEach(function (path, place) { places["/" + path] = place; });
    all("#gallery .picture").forEach(function (picture) {
      if (picture.dataset.category !== now.category) { return; }
      var place = places["/" + picture.dataset.path];
      var mark = one(".verdict", picture);
      mark.textContent = mark.dataset.verdict = verdict(now.images.labels[place], now.scores[place], threshold);
      one(".score", picture).textContent = now.scores[place].toPrecision(6);
    });
    moveLine(threshold);
    applyFilters();
  }

  // --- good scores upwards, defective ones downwards, the threshold between them
  var scale = null;
  function element(name, attributes) {
    var made = document.createElementNS(SVG, name);
    Object.keys(attributes).forEach(function (key) { made.setAttribute(key, attributes[key]); });
    return made;
  }
  function draw() {
    var now = current();
    judge.plot.textContent = "";
    scale = null;
    if (!steps.length) { return; }
    var sorted = now.scores.slice().sort(function (a, b) { return a - b; });
    var honest = cell(now.category, now.chosen.detector).honest.threshold, bins = 60, width = 600;
    // the bulk of the scores: a few far outliers would squeeze all others into one bin
    var low = sorted[Math.floor(0.01 * sorted.length)], high = sorted[Math.floor(0.98 * (sorted.length - 1))];
    if (honest !== null) { low = Math.min(low, honest); high = Math.max(high, honest); }
    scale = { low: low, span: (high - low) || 1, width: width };
    var heights = [[], []];
    for (var bin = 0; bin < bins; bin += 1) { heights[0].push(0); heights[1].push(0); }
    now.scores.forEach(function (score, place) {
      var at = Math.max(0, Math.min(bins - 1, Math.floor(bins * (score - low) / scale.span)));
      heights[now.images.labels[place]][at] += 1;
    });
    var svg = element("svg", { viewBox: "0 0 600 110", preserveAspectRatio: "none", role: "img",
      "aria-label": "Scores of good images above the line, of defective ones below it" });
    [0, 1].forEach(function (label) {
      var most = Math.max.apply(null, heights[label]) || 1;
      heights[label].forEach(function (height, at) {
        var size = 52 * height / most;
        if (height) {
          svg.appendChild(element("rect", { x: at * width / bins, width: width / bins - 1, height: size,
            y: label ? 55 : 55 - size, fill: label ? "#D55E00" : "#0072B2" }));
        }
      });
    });
    svg.appendChild(element("line", { x1: 0, x2: width, y1: 55, y2: 55, stroke: "currentColor" }));
    svg.appendChild(element("line", { id: "judge-line", y1: 0, y2: 110, stroke: "currentColor", "stroke-width": 3, "stroke-dasharray": "6 3" }));
    svg.addEventListener("click", function (event) {
      var box = svg.getBoundingClientRect();
      setThreshold(low + scale.span * (event.clientX - box.left) / box.width);
    });
    judge.plot.appendChild(svg);
  }
  function moveLine(threshold) {
    var line = one("#judge-line");
    if (!line || threshold === null) { return; }
    var at = Math.max(0, Math.min(1, (threshold - scale.low) / scale.span)) * scale.width;
    line.setAttribute("x1", at);
    line.setAttribute("x2", at);
  }

  judge.category.addEventListener("change", openCategory);
  judge.detector.addEventListener("change", function () {
    var now = current();
    var honest = cell(now.category, judge.detector.value).honest.threshold;
    state[now.category] = { detector: judge.detector.value, threshold: honest };
    openDetector();
  });
  judge.slider.addEventListener("input", function () {
    var at = Number(judge.slider.value), last = steps[steps.length - 1];
    setThreshold(at < steps.length ? steps[at] : last + (Math.abs(last) || 1) * 1e-9);
  });
  judge.exact.addEventListener("change", function () {
    if (judge.exact.value !== "") { setThreshold(Number(judge.exact.value)); }
  });
  judge.show.addEventListener("change", applyFilters);
  filters.defect.addEventListener("change", applyFilters);
  filters.category.addEventListener("change", function () {
    if (filters.category.value) { judge.category.value = filters.category.value; }
    openCategory();
  });
  filters.detector.addEventListener("change", function () {
    var now = current(), name = filters.detector.value;
    if (name && scoresOf(now.category, name)) {
      judge.detector.value = name;
      judge.detector.dispatchEvent(new Event("change"));
    }
    applyFilters();
  });
  one("#filter-none").addEventListener("click", function () {
    one("#filters").reset();
    judge.show.value = "";
    applyFilters();
  });
  one("#filters").addEventListener("submit", function (event) { event.preventDefault(); });

  // --- pictures, enlarged
  var box = one("#lightbox"), open = 0;
  function visible() { return all(".picture").filter(function (picture) { return !picture.hidden; }); }
  function show(place) {
    var pictures = visible();
    open = (place + pictures.length) % pictures.length;
    var image = one("img", pictures[open]);
    one("img", box).src = image.src;
    one("img", box).alt = image.alt;
    one("figcaption", box).textContent = one("figcaption", pictures[open]).innerText.replace(/\s*\n\s*/g, " · ");
    if (!box.open) { box.showModal(); }
  }
  function close() {
    var picture = visible()[open];
    box.close();
    if (picture) { one("img", picture).focus(); }
  }
  all(".picture").forEach(function (picture) {
    var image = one("img", picture);
    image.tabIndex = 0;
    image.setAttribute("role", "button");
    function enlarge() { show(visible().indexOf(picture)); }
    image.addEventListener("click", enlarge);
    image.addEventListener("keydown", function (event) {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); enlarge(); }
    });
  });
  one("#lightbox-close").addEventListener("click", close);
  one("#lightbox-back").addEventListener("click", function () { show(open - 1); });
  one("#lightbox-on").addEventListener("click", function () { show(open + 1); });
  box.addEventListener("cancel", function (event) { event.preventDefault(); close(); });
  box.addEventListener("click", function (event) { if (event.target === box) { close(); } });
  box.addEventListener("keydown", function (event) {
    if (event.key === "ArrowLeft") { show(open - 1); }
    if (event.key === "ArrowRight") { show(open + 1); }
  });

  // --- the data in this page, as a file
  one("#save").addEventListener("click", function () {
    var link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([one("#data").textContent], { type: "application/json" }));
    link.download = data.dataset + "_page.json";
    link.click();
    URL.revokeObjectURL(link.href);
  });

  ["#filters", "#judge", "#save", "#points-hint"].forEach(function (selector) {
    one(selector).hidden = false;
  });
  openCategory();
}());
