/*
 * Requests and answers of one byte, one after the other: how many in a second.
 *
 * latency serve PORT                               answers on TCP and UDP, IPv4 and IPv6
 * latency tcp-rr|tcp-crr|udp-rr HOST PORT SECONDS  prints transactions in a second; tcp-crr opens a connection for each
 * latency hold HOST PORT COUNT                      opens so many TCP connections, says "held", and keeps them
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS 2048

static void die(const char *what)
{
	fprintf(stderr, "latency: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
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
	freeaddrinfo(found);
	return fd;
}

static void accept_one(struct pollfd *polled, int *count)
{
	int one = 1, fd = accept(polled[0].fd, NULL, NULL);

	if (fd < 0)
		return;
	if (*count == CLIENTS) {
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	polled[(*count)++] = (struct pollfd){ .fd = fd, .events = POLLIN };
}

static int serve(const char *port)
{
	static struct pollfd polled[CLIENTS];
	int count = 2;
	char byte;

	polled[0] = (struct pollfd){ .fd = listen_on(port, SOCK_STREAM), .events = POLLIN };
	polled[1] = (struct pollfd){ .fd = listen_on(port, SOCK_DGRAM), .events = POLLIN };
	while (poll(polled, count, -1) > 0) {
		for (int i = count - 1; i >= 2; i--) {
			if (!polled[i].revents)
				continue;
			if (read(polled[i].fd, &byte, 1) == 1 && write(polled[i].fd, &byte, 1) == 1)
				continue;
			close(polled[i].fd);
			polled[i] = polled[--count];
		}
		if (polled[1].revents) {
			struct sockaddr_storage from;
			socklen_t size = sizeof from;

			if (recvfrom(polled[1].fd, &byte, 1, 0, (void *)&from, &size) >= 0)
				sendto(polled[1].fd, &byte, 1, 0, (void *)&from, size);
		}
		if (polled[0].revents)
			accept_one(polled, &count);
	}
	die("poll");
	return 1;
}

static int dial(const struct addrinfo *to)
{
	int one = 1, fd = socket(to->ai_family, to->ai_socktype, 0);
	struct timeval wait = { .tv_sec = 5 };

	if (fd < 0 || connect(fd, to->ai_addr, to->ai_addrlen))
		die("connect");
	if (to->ai_socktype == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
	return fd;
}

static void ask(int fd)
{
	char byte = 'x';

	if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
		die("no answer");
}

static void allow_descriptors(void)
{
	struct rlimit limit = { .rlim_cur = CLIENTS + 64, .rlim_max = CLIENTS + 64 };

	setrlimit(RLIMIT_NOFILE, &limit);
}

static int hold(const struct addrinfo *to, int count)
{
	while (count-- > 0)
		ask(dial(to));
	puts("held");
	fflush(stdout);
	pause();
	return 0;
}

int main(int argc, char **argv)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *to;
	int fd = -1, anew;
	long done = 0;
	double start, now;

	allow_descriptors();
	if (argc == 3 && !strcmp(argv[1], "serve"))
		return serve(argv[2]);
	if (argc != 5)
		return 2;
	anew = !strcmp(argv[1], "tcp-crr");
	if (!strcmp(argv[1], "udp-rr"))
		hints.ai_socktype = SOCK_DGRAM;
	if (getaddrinfo(argv[2], argv[3], &hints, &to))
		return 2;
	if (!strcmp(argv[1], "hold"))
		return hold(to, atoi(argv[4]));
	if (!anew)
		fd = dial(to);
	start = seconds();
	do {
		if (anew)
			fd = dial(to);
		ask(fd);
		if (anew)
			close(fd);
		done++;
		now = seconds();
	} while (now - start < atof(argv[4]));
	printf("%.0f\n", done / (now - start));
	return 0;
}
