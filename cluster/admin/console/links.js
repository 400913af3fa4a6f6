import { el, fragment } from './dom.js';

// base gives scheme://host:port of a viewer port of the node that serves this
// page: its host as the operator called it, its port as the node tells it.
function base(node, name, scheme, standardPort) {
  const address = node?.addresses?.[name];
  if (!address) return null;
  const port = address.slice(address.lastIndexOf(':') + 1);
  if (!/^[0-9]+$/.test(port)) return null;
  return `${scheme}://${location.hostname}${port === standardPort ? '' : `:${port}`}`;
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
