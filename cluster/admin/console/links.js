import { el, fragment } from './dom.js';

// base gives scheme://host:port of a viewer port of a node, as the node tells
// it; the host of the node that serves this page is as the operator called it,
// and so is that of one that listens everywhere and tells no other.
function base(node, name, scheme, standardPort) {
  const address = node?.addresses?.[name];
  if (!address) return null;
  const colon = address.lastIndexOf(':');
  const port = address.slice(colon + 1);
  let host = address.slice(0, colon);
  if (!/^[0-9]+$/.test(port)) return null;
  if (node.self || ['', '0.0.0.0', '[::]'].includes(host)) host = location.hostname;
  if (!/^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])$/.test(host)) return null;
  return `${scheme}://${host}${port === standardPort ? '' : `:${port}`}`;
}

// watch links to a stream in each format that its app has on. The domain is
// always named: the page may be open under another host than viewers use.
export function watch(stream, app, node) {
  const [domain, appName, name] = stream.key.split('/');
  const path = `${encodeURIComponent(appName)}/${encodeURIComponent(name)}`;
  const query = `?domain=${encodeURIComponent(domain)}`;
  const http = base(node, 'http', 'http', '80');
  const rtmp = base(node, 'rtmp', 'rtmp', '1935');
  const links = [];
  const add = (label, href) => {
    links.push(el('a', { href, target: '_blank', rel: 'noreferrer' }, label));
  };
  if (http && app?.flv !== false) add('FLV', `${http}/${path}.flv${query}`);
  if (http && app?.hls !== false) add('HLS', `${http}/${path}.m3u8${query}`);
  if (rtmp && app?.rtmp !== false) add('RTMP', `${rtmp}/${path}${query}`);
  return links.length > 0 ? fragment(...links) : '–';
}
