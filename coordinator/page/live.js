// Keeps a page that shows what goes on up to date: when the server says that something has
// changed, the same page is read again and only what differs is put in its place, so that
// focus, scrolling, selection and opened details stay. Without it a reload does the same.
(() => {
	'use strict';
	const LEAST_MS = 1000;
	const main = document.getElementById('main');
	const button = document.getElementById('live');
	let events = null, paused = false, lost = false, reading = false, again = false, last = 0;

	function show() {
		button.textContent = paused ? 'Paused' : lost ? 'Not live' : 'Live';
		button.className = paused ? 'paused' : lost ? 'lost' : '';
		button.title = paused ? 'Show what is new again' : 'Show nothing new for a while';
	}

	function setLost(is) {
		lost = is;
		show();
	}

	function scrollLogs(logs) {
		for (const log of logs) log.scrollTop = log.scrollHeight;
	}

	function logsAtTheirEnd() {
		return [...main.querySelectorAll('[data-tail]')].filter(
			(x) => x.scrollTop + x.clientHeight >= x.scrollHeight - 4);
	}

	function sameKind(a, b) {
		return a.nodeType === b.nodeType && a.nodeName === b.nodeName;
	}

	function keyOf(node) {
		return node.dataset ? node.dataset.key : undefined;
	}

	// `open` is the reader's.
	function takeAttributes(have, want) {
		for (const { name, value } of want.attributes)
			if (have.getAttribute(name) !== value) have.setAttribute(name, value);
		for (const name of have.getAttributeNames())
			if (!want.hasAttribute(name) && name !== 'open') have.removeAttribute(name);
	}

	// Makes `have` what `want` is. Children with a key are found again by it, others by their place.
	function become(have, want) {
		if (have.nodeType !== Node.ELEMENT_NODE) {
			if (have.nodeValue !== want.nodeValue) have.nodeValue = want.nodeValue;
			return;
		}
		takeAttributes(have, want);
		const keyed = new Map();
		for (const child of have.children) if (keyOf(child)) keyed.set(keyOf(child), child);
		const wanted = new Set();
		for (const child of want.children) if (keyOf(child)) wanted.add(keyOf(child));
		let at = have.firstChild;
		const pass = () => { const gone = at; at = at.nextSibling; gone.remove(); };
		for (const child of want.childNodes) {
			const key = keyOf(child);
			while (at && keyOf(at) && !wanted.has(keyOf(at))) pass();
			const match = key ? keyed.get(key) : at && !keyOf(at) ? at : null;
			if (!match || !sameKind(match, child)) {
				have.insertBefore(document.importNode(child, true), at);
				continue;
			}
			if (match === at) at = at.nextSibling;
			else have.insertBefore(match, at);
			become(match, child);
		}
		while (at) pass();
	}

	function take(text) {
		const page = new DOMParser().parseFromString(text, 'text/html');
		const fresh = page.getElementById('main');
		if (!fresh) throw new Error('this is no page of ours');
		const focus = document.activeElement, ends = logsAtTheirEnd();
		become(main, fresh);
		for (const id of ['state', 'taken']) {
			const have = document.getElementById(id), want = page.getElementById(id);
			if (have && want && have.textContent !== want.textContent) have.textContent = want.textContent;
		}
		if (document.title !== page.title) document.title = page.title;
		if (focus && focus !== document.body && !focus.isConnected) main.focus({ preventScroll: true });
		scrollLogs(ends);
		if (!('live' in main.dataset)) stop();
	}

	async function read() {
		if (reading || paused || document.hidden) {
			again = true;
			return;
		}
		reading = true;
		again = false;
		last = Date.now();
		try {
			const answer = await fetch(location.href, { cache: 'no-store' });
			if (!answer.ok) throw new Error(String(answer.status));
			take(await answer.text());
			setLost(false);
		} catch (_) {
			setLost(true);
			// Nobody tells again of what was told already; a new stream tells of everything.
			if (events.readyState === EventSource.OPEN) again = true;
		}
		reading = false;
		if (again) setTimeout(read, Math.max(0, last + LEAST_MS - Date.now()));
	}

	function listen() {
		events = new EventSource('/events');
		events.onmessage = read;
		events.onopen = () => setLost(false);
		events.onerror = () => setLost(true);
	}

	// What it shows is over, or was in the past.
	function stop() {
		events.close();
		button.hidden = true;
	}

	scrollLogs(main.querySelectorAll('[data-tail]'));
	if (!('live' in main.dataset) || !button) return;
	button.hidden = false;
	show();
	button.addEventListener('click', () => {
		paused = !paused;
		show();
		if (!paused && again) read();
	});
	document.addEventListener('visibilitychange', () => { if (again) read(); });
	listen();
})();
