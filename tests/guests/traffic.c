/*
 * Traffic between a guest and the host, checked byte by byte. One small static program, run on either side.
 *
 *   traffic serve PORT                        echo server, TCP and UDP, both families
 *   traffic ask tcp|udp HOST PORT BYTES TIMES request and response, compared
 *   traffic send HOST PORT SEED BYTES         sends "SEED BYTES\n" and the stream, half-closes, prints the answer
 *   traffic receive HOST PORT SEED BYTES      sends "SEED BYTES\n", half-closes, writes what comes to stdout
 *   traffic abort HOST PORT SEED BYTES        like send, but resets the connection after BYTES bytes
 *   traffic rings INTERFACE                   descriptors of a card's receive and transmit ring
 *
 * The stream of a seed is the one of byte-stream.ts: 64 KiB blocks of fixed noise, stamped with the seed and their number.
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BLOCK = 65536, CLIENTS = 512, TIMEOUT_MS = 10000 };

static unsigned char block[BLOCK], buffer[BLOCK];

static void die(const char *what)
{
	fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void fill_block(void)
{
	uint32_t x = 0x9e3779b9;

	for (int i = 0; i < BLOCK; i += 4) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		block[i] = x;
		block[i + 1] = x >> 8;
		block[i + 2] = x >> 16;
		block[i + 3] = x >> 24;
	}
}

static void stamp(uint32_t seed, uint32_t number)
{
	for (int i = 0; i < 4; i++) {
		block[i] = seed >> (8 * i);
		block[4 + i] = number >> (8 * i);
	}
}

static int dial(const char *host, const char *port, int type)
{
	struct addrinfo hints = { .ai_socktype = type, .ai_flags = AI_NUMERICHOST }, *found;
	int one = 1, fd;

	if (getaddrinfo(host, port, &hints, &found)) {
		fprintf(stderr, "traffic: no address: %s\n", host);
		exit(2);
	}
	fd = socket(found->ai_family, type, 0);
	if (connect(fd, found->ai_addr, found->ai_addrlen))
		die("connect");
	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	freeaddrinfo(found);
	return fd;
}

static void write_all(int fd, const unsigned char *from, size_t length)
{
	while (length > 0) {
		ssize_t done = write(fd, from, length);

		if (done < 0)
			die("write");
		from += done;
		length -= done;
	}
}

static void write_stream(int fd, uint32_t seed, uint64_t bytes)
{
	for (uint32_t number = 0; bytes > 0; number++) {
		size_t length = bytes < BLOCK ? bytes : BLOCK;

		stamp(seed, number);
		write_all(fd, block, length);
		bytes -= length;
	}
}

static void write_request(int fd, const char *seed, const char *bytes)
{
	char line[64];

	write_all(fd, (unsigned char *)line, snprintf(line, sizeof line, "%s %s\n", seed, bytes));
}

static void copy_to_stdout(int fd)
{
	ssize_t done;

	while ((done = read(fd, buffer, sizeof buffer)) > 0)
		write_all(1, buffer, done);
	if (done < 0)
		die("read");
}

static int ask(int type, const char *host, const char *port, size_t bytes, int times)
{
	int fd = dial(host, port, type);

	for (int n = 0; n < times; n++) {
		size_t got = 0;

		stamp(n, bytes);
		write_all(fd, block, bytes);
		while (got < bytes) {
			struct pollfd p = { .fd = fd, .events = POLLIN };
			ssize_t done;

			if (poll(&p, 1, TIMEOUT_MS) != 1) {
				fprintf(stderr, "traffic: request %d: no answer\n", n);
				return 3;
			}
			done = read(fd, buffer + got, sizeof buffer - got);
			if (done <= 0)
				die("read");
			got += done;
			if (type == SOCK_DGRAM)
				break;
		}
		if (got != bytes || memcmp(block, buffer, bytes)) {
			fprintf(stderr, "traffic: request %d: the answer differs (%zu of %zu bytes)\n", n, got, bytes);
			return 4;
		}
	}
	printf("answered %d\n", times);
	return 0;
}

static int listen_on(const char *port, int type)
{
	struct addrinfo hints = { .ai_family = AF_INET6, .ai_socktype = type, .ai_flags = AI_PASSIVE }, *found;
	int one = 1, zero = 0, fd;

	if (getaddrinfo(NULL, port, &hints, &found))
		exit(2);
	fd = socket(AF_INET6, type, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
	if (bind(fd, found->ai_addr, found->ai_addrlen) || (type == SOCK_STREAM && listen(fd, CLIENTS)))
		die("bind");
	return fd;
}

static int serve(const char *port)
{
	static struct pollfd p[CLIENTS];
	int count = 2;

	p[0].fd = listen_on(port, SOCK_STREAM);
	p[1].fd = listen_on(port, SOCK_DGRAM);
	p[0].events = p[1].events = POLLIN;
	while (poll(p, count, -1) > 0) {
		if (p[1].revents) {
			struct sockaddr_storage from;
			socklen_t size = sizeof from;
			ssize_t done = recvfrom(p[1].fd, buffer, sizeof buffer, 0, (void *)&from, &size);

			if (done >= 0)
				sendto(p[1].fd, buffer, done, 0, (void *)&from, size);
		}
		for (int i = count - 1; i >= 2; i--) {
			ssize_t done;

			if (!p[i].revents)
				continue;
			done = read(p[i].fd, buffer, sizeof buffer);
			if (done > 0) {
				write_all(p[i].fd, buffer, done);
				continue;
			}
			close(p[i].fd);
			p[i] = p[--count];
		}
		if (p[0].revents && count < CLIENTS) {
			p[count].fd = accept(p[0].fd, NULL, NULL);
			p[count].events = POLLIN;
			p[count++].revents = 0;
		}
	}
	die("poll");
	return 1;
}

static int rings(const char *interface)
{
	struct ethtool_ringparam sizes = { .cmd = ETHTOOL_GRINGPARAM };
	struct ifreq request = { .ifr_data = (void *)&sizes };

	strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
	if (ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCETHTOOL, &request))
		die("ring sizes");
	printf("%u %u\n", sizes.rx_pending, sizes.tx_pending);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int fd;

	fill_block();
	signal(SIGPIPE, SIG_IGN);
	if (!strcmp(what, "serve") && argc == 3)
		return serve(argv[2]);
	if (!strcmp(what, "ask") && argc == 7)
		return ask(strcmp(argv[2], "udp") ? SOCK_STREAM : SOCK_DGRAM, argv[3], argv[4], atoi(argv[5]), atoi(argv[6]));
	if (!strcmp(what, "rings") && argc == 3)
		return rings(argv[2]);
	if (argc != 6)
		return 2;
	fd = dial(argv[2], argv[3], SOCK_STREAM);
	write_request(fd, argv[4], argv[5]);
	if (!strcmp(what, "receive")) {
		shutdown(fd, SHUT_WR);
		copy_to_stdout(fd);
		return 0;
	}
	write_stream(fd, strtoul(argv[4], NULL, 10), strtoull(argv[5], NULL, 10));
	if (!strcmp(what, "abort")) {
		struct linger now = { .l_onoff = 1, .l_linger = 0 };

		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
		close(fd);
		printf("aborted\n");
		return 0;
	}
	shutdown(fd, SHUT_WR);
	copy_to_stdout(fd);
	return 0;
}
