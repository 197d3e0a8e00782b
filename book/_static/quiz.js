// The questions after a chapter: each choice is judged at once.  Without this script the answers are in folds.

class Question {
  constructor(box, judged) {
    this.box = box;
    this.judged = judged;
    this.choices = [...box.querySelectorAll(".quiz-choices > li")];
    this.radios = this.choices.map((choice) => choice.querySelector("input"));
    const answers = box.querySelector(".quiz-answers");
    this.answers = [...answers.querySelectorAll(":scope > ol > li")];
    answers.hidden = true;
    // A place for each answer that is there before its words are, or screen readers would not read them out.
    this.places = this.choices.map((choice) => {
      const place = document.createElement("div");
      place.className = "quiz-why";
      place.setAttribute("aria-live", "polite");
      choice.append(place);
      return place;
    });
    this.tries = 0;
    this.solved = false;

    // Arrows walk through the choices, and a browser calls each of them chosen: the answer is given by Enter or Space.
    let walking = false;
    box.addEventListener("keydown", (event) => {
      walking = event.key.startsWith("Arrow");
      const i = this.radios.indexOf(event.target);
      if (i < 0 || !(event.key === "Enter" || (event.key === " " && event.target.checked))) return;
      event.preventDefault();
      event.target.checked = true;
      this.judge(i);
    });
    box.addEventListener("keyup", () => { walking = false; });
    box.addEventListener("change", (event) => {
      if (!walking) this.judge(this.radios.indexOf(event.target));
    });
  }

  isRight(i) {
    return this.answers[i].className === "right";
  }

  judge(i) {
    if (this.solved) return;
    this.tries += 1;
    this.solved = this.isRight(i);
    this.show(i);
    if (this.solved) {
      // Now no choice is given away any more; the one that was chosen keeps the keyboard's place.
      this.choices.forEach((_, other) => this.show(other));
      this.radios.forEach((radio) => { radio.disabled = !radio.checked; });
    }
    this.judged();
  }

  show(i) {
    this.choices[i].dataset.verdict = this.answers[i].className;
    this.places[i].append(...this.answers[i].childNodes);
  }

  reset() {
    this.tries = 0;
    this.solved = false;
    this.choices.forEach((choice, i) => {
      delete choice.dataset.verdict;
      this.answers[i].append(...this.places[i].childNodes);
      Object.assign(this.radios[i], { checked: false, disabled: false });
    });
  }
}

function start(quiz) {
  const last = document.createElement("div");
  last.className = "quiz-score";
  last.innerHTML = '<p aria-live="polite"></p><button type="button"></button>';
  const [score, button] = last.children;
  button.textContent = say("Try again");
  const questions = [...quiz.querySelectorAll("fieldset")].map((box) => new Question(box, judged));

  function judged() {
    const atOnce = questions.filter((one) => one.solved && one.tries === 1).length;
    const open = questions.filter((one) => !one.solved).length;
    const counts = { right: atOnce, all: questions.length, open };
    score.textContent = open ? say("{right} of {all} right at the first choice, {open} to go.", counts)
      : say("{right} of {all} right at the first choice.", counts);
    button.disabled = questions.every((one) => one.tries === 0);
  }

  button.addEventListener("click", () => {
    questions.forEach((one) => one.reset());
    judged();
    questions[0].radios[0].focus();
  });
  quiz.append(last);
  judged();
}

document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".quiz").forEach(start));
