// The floor: the least C program that fans one live stream out to many
// HTTP-FLV viewers, the yardstick for the server's cost per delivered byte.
//
// One thread, one shared log, one send per viewer and flush, viewers spread
// over T / tick slots; no parsing beyond "end of request head". It makes the
// stream by itself: video frames that carry the marker of bench/signal, and
// audio, at a given bit rate.
//
//   floor -p PORT [-T flush_ms] [-k tick_ms] [-r bits_per_second] [-c congestion_control]
//
// It prints "ready" once it listens and runs until it is killed.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FPS = 30, GOP = 60, AUDIO_PER_SECOND = 43, AUDIO_BODY = 370, MAX_VIEWERS = 20000, HEAD = 1024 };
enum { LOG_SIZE = 1 << 30 };  // more than an hour at 2 Mbit/s; pages are only touched as they are written

static uint8_t *stream;
static int64_t head_offset;
static uint32_t crc_table[256];

typedef struct {
	int fd;
	int64_t cursor;  // -1: the request head is still coming
	int request;     // bytes of the request's end seen: \r\n\r\n
} viewer;

static viewer viewers[MAX_VIEWERS];
static int viewer_count;

static int64_t clock_ns(clockid_t id) {
	struct timespec t;
	clock_gettime(id, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void crc_init(void) {
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;
		for (int k = 0; k < 8; k++) c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
		crc_table[i] = c;
	}
}

static uint32_t crc32(const uint8_t *p, size_t n) {
	uint32_t c = ~0u;
	while (n--) c = crc_table[(c ^ *p++) & 0xFF] ^ (c >> 8);
	return ~c;
}

static uint8_t *put32(uint8_t *p, uint32_t v) {
	p[0] = v >> 24, p[1] = v >> 16, p[2] = v >> 8, p[3] = v;
	return p + 4;
}

static uint8_t *put64(uint8_t *p, uint64_t v) { return put32(put32(p, v >> 32), v); }

// append puts one FLV tag at the end of the log.
static void append(uint8_t type, uint32_t ms, const uint8_t *body, uint32_t n) {
	if (head_offset + 11 + n + 4 > LOG_SIZE) fputs("floor: the log is full\n", stderr), exit(1);
	uint8_t *p = stream + head_offset;
	p[0] = type, p[1] = n >> 16, p[2] = n >> 8, p[3] = n;
	p[4] = ms >> 16, p[5] = ms >> 8, p[6] = ms, p[7] = ms >> 24, p[8] = p[9] = p[10] = 0;
	memcpy(p + 11, body, n);
	put32(p + 11 + n, 11 + n);
	head_offset += 11 + n + 4;
}

// video makes one frame with the marker of bench/signal/marker.go.
static void video(uint32_t seq, uint32_t ms, int key, uint32_t n) {
	static uint8_t body[4 << 20];
	if (n < 64) n = 64;
	uint8_t *p = body;
	*p++ = key ? 0x17 : 0x27, *p++ = 1, *p++ = 0, *p++ = 0, *p++ = 0;
	p = put32(p, n - 9);
	*p++ = key ? 0x65 : 0x41;
	memcpy(p, "tmmsmark", 8), p += 8;
	p = put32(p, seq);
	p = put64(p, clock_ns(CLOCK_REALTIME));
	uint8_t *sum = p;
	p += 4;
	uint32_t rest = body + n - p;
	memset(p, seq, rest);
	put32(sum, crc32(p, rest));
	append(9, ms, body, n);
}

static void drop(int i) {
	close(viewers[i].fd);
	viewers[i] = viewers[--viewer_count];
}

static void accept_all(int listener, const char *congestion) {
	int fd, one = 1;
	while (viewer_count < MAX_VIEWERS && (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, strlen(congestion));
		viewers[viewer_count++] = (viewer){.fd = fd, .cursor = -1};
	}
}

// request reads until the end of the head, then answers and joins at the head of the log.
static int request(viewer *v) {
	char b[HEAD];
	ssize_t n = recv(v->fd, b, sizeof b, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN)) return -1;
	for (ssize_t i = 0; i < n; i++) v->request = b[i] == "\r\n\r\n"[v->request] ? v->request + 1 : b[i] == '\r';
	if (v->request < 4) return 0;
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\nConnection: close\r\n\r\n"
	                             "FLV\x01\x05\0\0\0\x09\0\0\0";  // the literal's own NUL ends PreviousTagSize0
	if (send(v->fd, answer, sizeof answer, MSG_NOSIGNAL) != sizeof answer) return -1;
	v->cursor = head_offset;
	return 0;
}

static int flush(viewer *v) {
	if (v->cursor < 0) return request(v);
	if (v->cursor == head_offset) return 0;
	ssize_t sent = send(v->fd, stream + v->cursor, head_offset - v->cursor, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0) return errno == EAGAIN ? 0 : -1;
	v->cursor += sent;
	return 0;
}

int main(int argc, char **argv) {
	int port = 0, flush_ms = 100, tick_ms = 5, o;
	double rate = 2e6;
	const char *congestion = "cubic";
	while ((o = getopt(argc, argv, "p:T:k:r:c:")) > 0) switch (o) {
		case 'p': port = atoi(optarg); break;
		case 'T': flush_ms = atoi(optarg); break;
		case 'k': tick_ms = atoi(optarg); break;
		case 'r': rate = atof(optarg); break;
		case 'c': congestion = optarg; break;
		default: return 2;
		}
	struct rlimit files = {20000, 20000};
	setrlimit(RLIMIT_NOFILE, &files);
	crc_init();
	stream = malloc(LOG_SIZE);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (!stream || bind(listener, (void *)&a, sizeof a) || listen(listener, 4096)) return perror("floor"), 1;
	puts("ready"), fflush(stdout);

	int slots = flush_ms / tick_ms;
	if (slots < 1) slots = 1;
	double per_gop = rate / 8 * GOP / FPS - AUDIO_PER_SECOND * GOP / FPS * (AUDIO_BODY + 15);
	uint32_t key_size = per_gop * 0.12, delta_size = (per_gop - key_size) / (GOP - 1);
	static uint8_t audio[AUDIO_BODY] = {0xAF, 1};
	int64_t start = clock_ns(CLOCK_MONOTONIC), videos = 0, audios = 0;
	for (int64_t n = 0;; n++) {
		int64_t due = start + n * tick_ms * 1000000LL, now = clock_ns(CLOCK_MONOTONIC);
		if (now < due) {
			struct timespec t = {due / 1000000000LL, due % 1000000000LL};
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
			now = clock_ns(CLOCK_MONOTONIC);
		}
		for (; videos * 1000000000LL / FPS <= now - start; videos++)
			video(videos, videos * 1000 / FPS, videos % GOP == 0, videos % GOP ? delta_size : key_size);
		for (; audios * 1000000000LL / AUDIO_PER_SECOND <= now - start; audios++)
			append(8, audios * 1000 / AUDIO_PER_SECOND, audio, AUDIO_BODY);
		accept_all(listener, congestion);
		for (int i = n % slots; i < viewer_count; i += slots)
			if (flush(&viewers[i])) drop(i);
	}
}
