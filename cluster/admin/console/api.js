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

export async function get(path) {
  const headers = {};
  const token = sessionStorage.getItem(tokenKey);
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(path, { headers, cache: 'no-store', signal: AbortSignal.timeout(5000) });
  const body = await answer.json();
  if (!answer.ok) throw new Refused(answer.status, body.error?.message ?? answer.statusText);
  return body;
}
