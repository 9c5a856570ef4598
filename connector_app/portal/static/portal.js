"use strict";
// Pages work without this. It renews the entry code in place, and looks again where something is under way.
const code = document.getElementById("code");
if (code) {
  const seconds = Number(code.dataset.renew);
  let number = 0;
  const renew = () => {
    if (document.visibilityState === "visible") code.src = "/entry-code.svg?" + (number += 1);
  };
  code.addEventListener("error", () => location.reload());
  setInterval(renew, seconds * 1000);
  document.addEventListener("visibilitychange", renew);
}
const waiting = document.querySelector("[data-look-again]");
if (waiting) setTimeout(() => location.reload(), Number(waiting.dataset.lookAgain) * 1000);
