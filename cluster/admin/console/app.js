import { get, setToken, Refused } from './api.js';
import { el, table, state } from './dom.js';
import { bitrate, bytes, many, since, span } from './format.js';
import { watch } from './links.js';

const period = 2000; // ms between two refreshes
const shown = 200; // rows of a list
const box = (id) => document.getElementById(id);
let viewersOf = ''; // key of the stream whose viewers are open
let historyOf = -1; // config revision whose history is shown
let timer = 0;

function count(viewers) {
  return Object.values(viewers ?? {}).reduce((sum, n) => sum + n, 0);
}

// playing names the ways an app plays by.
function playing(a) {
  const ways = ['rtmp', 'flv', 'hls'].filter((p) => a[p]);
  if (a.low_latency) ways.push('ll-hls');
  return ways.join(', ');
}

function picture(s) {
  const size = s.width ? `${s.width}×${s.height}` : '';
  const rate = s.fps ? `${Number(s.fps.toFixed(2))} fps` : '';
  return [(s.codecs ?? []).join(' + '), size, rate].filter(Boolean).join(', ') || '–';
}

function viewerCell(s) {
  const parts = Object.entries(s.viewers ?? {}).filter(([, n]) => n > 0).map(([proto, n]) => `${proto} ${n}`);
  return el('button', {
    type: 'button', title: parts.join(', ') || 'no viewers',
    onclick: () => {
      viewersOf = s.key;
      refresh();
    },
  }, count(s.viewers));
}

function ownerCell(s) {
  return s.pulled ? el('span', { class: 'bad' }, `${s.owner_name || s.owner || '?'} (no answer)`) : s.owner_name || s.owner || '–';
}

function edgesCell(s) {
  const names = (s.edges ?? []).map((e) => `${e.name} ${count(e.viewers)}`);
  const most = 6; // names in a cell; all are in its title
  const more = names.length > most ? `, ${names.length - most} more` : '';
  return el('span', { title: names.join(', ') }, names.slice(0, most).join(', ') + more || '–');
}

function showStreams(reply, domains, node) {
  const apps = new Map();
  for (const d of domains) for (const a of d.apps) apps.set(`${d.name}/${a.name}`, a);
  const appOf = (s) => apps.get(s.key.slice(0, s.key.lastIndexOf('/')));
  table(box('streams'), [
    { title: 'Stream', className: 'key', cell: (s) => s.key },
    { title: 'State', cell: (s) => state(s.state) },
    { title: 'Bitrate', num: true, cell: (s) => bitrate(s.publisher?.bitrate_bps) },
    { title: 'Content', cell: picture },
    { title: 'Viewers', num: true, cell: viewerCell },
    { title: 'Owner', cell: ownerCell },
    { title: 'Served by', cell: edgesCell },
    { title: 'Since', num: true, cell: (s) => span(s.uptime_seconds) },
    { title: 'Publisher', cell: (s) => [s.publisher?.remote, s.publisher?.encoder].filter(Boolean).join(', ') || '–' },
    { title: 'Watch', cell: (s) => watch(s, appOf(s), node) },
  ], reply.streams, 'Nobody publishes.');
}

function showNodes(nodes) {
  const addresses = (n) => Object.entries(n.addresses ?? {}).sort().map(([k, v]) => `${k} ${v}`).join(', ');
  table(box('nodes'), [
    { title: 'Node', className: 'key', cell: (n) => n.name || n.id },
    { title: 'State', cell: (n) => (n.draining && n.state === 'alive' ? state('draining') : state(n.state)) },
    { title: 'Roles', cell: (n) => (n.roles ?? []).join(', ') },
    { title: 'Place', cell: (n) => [n.region, n.zone].filter(Boolean).join(' / ') || '–' },
    { title: 'Raft', cell: (n) => (n.leader ? 'leader' : n.voter ? 'voter' : '–') },
    { title: 'Config', num: true, cell: (n) => n.config_revision ?? '–' },
    { title: 'Load', num: true, cell: (n) => (n.load ? `${Math.round((n.load * 100) / 255)} %` : '–') },
    { title: 'Addresses', className: 'dim', cell: (n) => addresses(n) || '–' },
    { title: 'Version', className: 'dim', cell: (n) => n.version || '–' },
  ], nodes, 'No nodes.');
}

function showDomains(reply) {
  const rows = reply.domains.flatMap((d) => d.apps.map((a) => ({ d, a })));
  table(box('domains'), [
    { title: 'Domain', className: 'key', cell: ({ d }) => d.name },
    { title: 'Also', cell: ({ d }) => d.aliases.join(', ') || '–' },
    { title: 'App', cell: ({ a }) => a.name },
    { title: 'Publishing', cell: ({ a }) => (a.open ? 'open to everyone' : `with a key (${a.publish_keys})`) },
    { title: 'Playing', cell: ({ a }) => playing(a) || 'off' },
    { title: 'Latency', num: true, cell: ({ a }) => a.latency },
    { title: 'Grace', num: true, cell: ({ a }) => a.grace },
  ], rows, 'No domains.');
}

async function showViewers() {
  box('viewers-section').hidden = viewersOf === '';
  if (viewersOf === '') return;
  box('viewers-of').textContent = viewersOf;
  const reply = await get(`/api/v1/viewers?limit=${shown}&stream=${encodeURIComponent(viewersOf)}`);
  table(box('viewers'), [
    { title: 'Viewer', cell: (v) => v.id },
    { title: 'Protocol', cell: (v) => v.proto },
    { title: 'From', cell: (v) => v.remote },
    { title: 'Served by', cell: (v) => v.node || '–' },
    { title: 'Since', num: true, cell: (v) => since(v.since) },
    { title: 'Sent', num: true, cell: (v) => bytes(v.sent_bytes) },
    { title: 'Lag', num: true, cell: (v) => `${v.lag_ms} ms` },
  ], reply.viewers, 'No viewers.');
}

// showHistory fetches the history when there is a new revision, and not before.
async function showHistory(revision) {
  if (historyOf === revision) return;
  const most = 10; // revisions that are shown
  const reply = await get('/api/v1/history');
  historyOf = revision;
  table(box('history'), [
    { title: 'Revision', num: true, cell: (r) => r.revision },
    { title: 'At', cell: (r) => new Date(r.at).toLocaleString() },
    { title: 'By', cell: (r) => r.by },
    { title: 'Changes', cell: (r) => [r.same_as && `back to revision ${r.same_as}`, r.summary].filter(Boolean).join(': ') || '–' },
  ], reply.revisions.slice(-most).reverse(), 'No config was applied yet.');
}

function showStatus(text, bad) {
  box('status').textContent = text;
  box('status').className = bad ? 'bad' : '';
}

async function load() {
  const [streams, nodes, domains] = await Promise.all([
    get(`/api/v1/streams?limit=${shown}`), get('/api/v1/nodes'), get('/api/v1/domains'),
  ]);
  const self = nodes.nodes.find((n) => n.self);
  const serving = nodes.nodes.filter((n) => n.state === 'alive' && !n.draining && (n.roles ?? []).includes('edge'));
  showStreams(streams, domains.domains, serving.find((n) => n.self) ?? serving[0] ?? self);
  showNodes(nodes.nodes);
  showDomains(domains);
  await showHistory(domains.revision);
  await showViewers();
  const all = streams.streams.reduce((sum, s) => sum + count(s.viewers), 0);
  box('summary').textContent = [
    self?.name, many(nodes.nodes.length, 'node'), many(streams.total, 'stream'), many(all, 'viewer'), `config revision ${domains.revision}`,
  ].filter(Boolean).join(' · ');
  box('login').hidden = true;
  const silent = streams.incomplete ?? [];
  const stale = domains.stale ?? nodes.stale ?? streams.stale;
  const faults = [
    silent.length > 0 && `no answer from ${silent.join(', ')}`, stale && `may be out of date: ${stale}`,
  ].filter(Boolean);
  showStatus(faults.join('; ') || new Date().toLocaleTimeString(), faults.length > 0);
}

async function refresh() {
  clearTimeout(timer);
  try {
    await load();
  } catch (e) {
    if (e instanceof Refused && e.status === 401) box('login').hidden = false;
    showStatus(e instanceof Refused ? e.message : `no answer: ${e.message}`, true);
  }
  clearTimeout(timer);
  timer = setTimeout(refresh, document.hidden ? 5 * period : period);
}

box('enter').addEventListener('click', () => {
  setToken(box('token').value);
  box('token').value = '';
  refresh();
});
box('viewers-close').addEventListener('click', () => {
  viewersOf = '';
  refresh();
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) refresh();
});
refresh();
