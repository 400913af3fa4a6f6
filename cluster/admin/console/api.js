const tokenKey = 'tmms-token';

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export function setToken(token) {
  sessionStorage.setItem(tokenKey, token);
}

// get asks for what this node knows, without a question to the leader each time.
// The answer's stale says why it may be out of date; null if it is not.
export async function get(path) {
  const headers = {};
  const token = sessionStorage.getItem(tokenKey);
  if (token) headers.Authorization = `Bearer ${token}`;
  const url = `${path}${path.includes('?') ? '&' : '?'}consistency=local`;
  const answer = await fetch(url, { headers, cache: 'no-store', signal: AbortSignal.timeout(5000) });
  const body = await answer.json();
  if (!answer.ok) throw new Refused(answer.status, body.error?.message ?? answer.statusText);
  body.stale = answer.headers.get('X-Tmms-Stale');
  return body;
}
