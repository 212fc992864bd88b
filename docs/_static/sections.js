// Sphinx finds a section only by most of its title. Here, sections and pages whose titles have the
// question's own words come first, so that "how do I save a datetime" leads to the answer, not to its page.
(() => {
  if (typeof Search === "undefined") return; // another page than the search
  const COMMON = new Set(
    "a an and are can do does for from get have how i if in into is it me my of on or that the there to use using what when where with".split(" "),
  );
  const MOST = 5;

  const wordsOf = (text) =>
    text.toLowerCase().split(/[^a-z0-9]+/).filter((word) => word && !COMMON.has(word));
  const begins = (word, other) => word.startsWith(other.slice(0, Math.max(5, other.length - 2)));
  // "session" and "sessions", "expire" and "expiry"; short words only when they are the same
  const alike = (one, other) =>
    one === other ||
    (Math.min(one.length, other.length) >= 4 && (begins(one, other) || begins(other, one)));

  const sections = (query) => {
    const asked = [...new Set(wordsOf(query))];
    const found = [];
    for (const [title, places] of Object.entries(Search._index.alltitles)) {
      const words = wordsOf(title);
      const hits = asked.filter((word) => words.some((other) => alike(word, other))).length;
      if (hits === 0 || hits * 2 < asked.length) continue;
      for (const [file, id] of places) {
        found.push({ title, file, id, hits, extra: words.length - hits }); // a page has no id
      }
    }
    return found.sort((a, b) => b.hits - a.hits || a.extra - b.extra || !!a.id - !!b.id).slice(0, MOST);
  };

  const search = Search._performSearch;
  Search._performSearch = (query, ...rest) => {
    const { docnames, filenames, titles } = Search._index;
    const first = sections(query).map(({ title, file, id, hits }) => [
      docnames[file],
      id === null ? title : `${titles[file]} > ${title}`,
      id === null ? "" : `#${id}`,
      null,
      100 + hits,
      filenames[file],
      "title",
    ]);
    const known = new Set(first.map((result) => result[0] + result[2]));
    const others = search(query, ...rest).filter((result) => !known.has(result[0] + result[2]));
    return [...others, ...first.reverse()]; // the best one is shown from the end
  };
})();
