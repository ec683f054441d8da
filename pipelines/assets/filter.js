document.getElementById("filter").addEventListener("input", (event) => {
  const wanted = event.target.value.toLowerCase();
  for (const article of document.querySelectorAll("article")) {
    article.hidden = !article.dataset.name.toLowerCase().includes(wanted);
  }
});
