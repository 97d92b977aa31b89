(function () {
  var data = JSON.parse(document.getElementById("data").textContent);
  var judge = thresholdSlider(data, applyFilters);

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

  // --- on a narrow screen every row is a card, whose lines begin with the headings
  all("table").forEach(function (table) {
    var headings = all("thead th", table).map(function (heading) { return heading.textContent; });
    if (!headings.length) { return; }
    table.classList.add("cards");
    all("tbody tr", table).forEach(function (row) {
      all("th, td", row).forEach(function (cell, column) { cell.setAttribute("data-label", headings[column]); });
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
        (own.path !== undefined && !judge.shows(element)));
    });
    all("[data-points]").forEach(function (row) {
      row.classList.toggle("asked", detector !== "" && row.dataset.points === detector);
      if (detector && row.dataset.points !== detector) { row.hidden = true; }
    });
  }

  filters.defect.addEventListener("change", applyFilters);
  ["category", "detector"].forEach(function (name) {
    filters[name].addEventListener("change", function () { judge.filter(filters.category.value, filters.detector.value); });
  });
  one("#filter-none").addEventListener("click", function () {
    one("#filters").reset();
    judge.reset();
    judge.filter("", "");
  });
  one("#filters").addEventListener("submit", function (event) { event.preventDefault(); });

  // --- pictures, enlarged
  var box = one("#lightbox"), open = 0;
  function visible() { return all(".picture").filter(function (picture) { return picture.offsetParent !== null; }); }
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
  judge.open();
}());
