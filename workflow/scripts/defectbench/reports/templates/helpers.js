"use strict";

function one(selector, from) { return (from || document).querySelector(selector); }
function all(selector, from) { return Array.prototype.slice.call((from || document).querySelectorAll(selector)); }
function first(list, test) { return list.filter(test)[0]; }
function option(value, text) {
  var made = document.createElement("option");
  made.value = value;
  made.textContent = text;
  return made;
}
