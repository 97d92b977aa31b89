// --- Clopper-Pearson intervals, as evaluation/rates.py computes them
var shareInterval = (function () {
  var LEVEL = 0.95, SUPPOSED = 4;
  // Lanczos's approximation with g = 7 (Numerical Recipes, 3rd edition, section 6.1)
  var LANCZOS = [0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313,
    -176.61502916214059, 12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6,
    1.5056327351493116e-7];
  function logGamma(x) {
    var sum = LANCZOS[0], t = x + 6.5;
    for (var i = 1; i < 9; i += 1) { sum += LANCZOS[i] / (x - 1 + i); }
    return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum);
  }
  function betaDistribution(a, b, x) {
    if (x <= 0 || x >= 1) { return x >= 1 ? 1 : 0; }
    if (x > (a + 1) / (a + b + 2)) { return 1 - betaDistribution(b, a, 1 - x); }
    var front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x)) / a;
    var numerator = 1, denominator = 1 / (1 - (a + b) * x / (a + 1)), fraction = denominator;
    for (var m = 1, before = 0; Math.abs(fraction - before) >= 1e-15 * fraction; m += 1) {
      before = fraction;
      [m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
        -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))].forEach(function (term) {
        denominator = 1 / (1 + term * denominator);
        numerator = 1 + term / numerator;
        fraction *= denominator * numerator;
      });
    }
    return front * fraction;
  }
  function betaQuantile(a, b, probability) {
    var low = 0, high = 1, middle = 0.5;
    while (low < middle && middle < high) {
      if (betaDistribution(a, b, middle) < probability) { low = middle; } else { high = middle; }
      middle = (low + high) / 2;
    }
    return middle;
  }
  function rateInterval(rate, of) {
    var hits = rate * of;
    return [hits > 0 ? betaQuantile(hits, of - hits + 1, (1 - LEVEL) / 2) : 0,
      hits < of ? betaQuantile(hits + 1, of - hits, (1 + LEVEL) / 2) : 1];
  }
  // how many independent images know as much as these, which belong to groups
  function effectiveSize(hits, groups) {
    var sizes = {}, counts = {}, n = hits.length, squares = 0, telling = [0, 0];
    groups.forEach(function (group, place) {
      sizes[group] = (sizes[group] || 0) + 1;
      counts[group] = (counts[group] || 0) + hits[place];
    });
    var names = Object.keys(sizes);
    names.forEach(function (name) {
      squares += sizes[name] * sizes[name];
      telling[0] += counts[name] > 0;
      telling[1] += counts[name] < sizes[name];
    });
    var most = Math.min(telling[0], telling[1]);
    var rho = correlation(hits, groups, sizes, counts, names, squares);
    return n / (1 + (squares / n - 1) * (most * rho + SUPPOSED) / (most + SUPPOSED));
  }
  function correlation(hits, groups, sizes, counts, names, squares) {
    var n = hits.length, between = 0, within = 0, total = 0;
    if (names.length === 1 || names.length === n) { return 1; }
    hits.forEach(function (hit) { total += hit; });
    names.forEach(function (name) {
      between += sizes[name] * Math.pow(counts[name] / sizes[name] - total / n, 2) / (names.length - 1);
    });
    hits.forEach(function (hit, place) {
      var group = groups[place];
      within += Math.pow(hit - counts[group] / sizes[group], 2) / (n - names.length);
    });
    var size = (n - squares / n) / (names.length - 1), spread = between + (size - 1) * within;
    return spread ? Math.max(0, Math.min(1, (between - within) / spread)) : 1;
  }
  // hits are 0 or 1, groups numbers, one for each image; null without images
  return function (hits, groups) {
    if (!hits.length) { return null; }
    var sum = 0;
    hits.forEach(function (hit) { sum += hit; });
    return { hits: sum, of: hits.length, rate: sum / hits.length,
      interval: rateInterval(sum / hits.length, effectiveSize(hits, groups)) };
  };
}());
