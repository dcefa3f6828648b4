// SPDX-License-Identifier: Apache-2.0
/*
 * Opens so many UDP "connections" a second, each from another port to another
 * port, past the sockets: raw frames by sendmmsg. Prints how many it sent.
 * flood IFACE OWN-MAC GATEWAY-MAC OWN-IP PEER-IP RATE SECONDS
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BURST = 64, FRAME = 64 };

static double now(void) {
  struct timespec time;

  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static void mac(const char *text, uint8_t *out) {
  unsigned int b[6];

  if (sscanf(text, "%x:%x:%x:%x:%x:%x", b, b + 1, b + 2, b + 3, b + 4, b + 5) !=
      6)
    exit(2);
  for (int i = 0; i < 6; i++)
    out[i] = b[i];
}

static uint16_t checksum(const uint8_t *header) {
  uint32_t sum = 0;

  for (int i = 0; i < 20; i += 2)
    sum += header[i] << 8 | header[i + 1];
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return ~sum;
}

int main(int argc, char **argv) {
  static uint8_t frames[BURST][FRAME];
  struct mmsghdr messages[BURST] = {0};
  struct iovec parts[BURST];
  uint8_t first[FRAME] = {0};

  if (argc != 8)
    return 2;
  int fd = socket(AF_PACKET, SOCK_RAW, 0);
  struct sockaddr_ll link = {.sll_family = AF_PACKET,
                             .sll_ifindex = if_nametoindex(argv[1])};
  mac(argv[3], first);
  mac(argv[2], first + 6);
  first[12] = 0x08;
  uint8_t *ip = first + 14;
  ip[0] = 0x45;
  ip[3] = FRAME - 14;
  ip[8] = 64;
  ip[9] = 17;
  if (fd < 0 || inet_pton(AF_INET, argv[4], ip + 12) != 1 ||
      inet_pton(AF_INET, argv[5], ip + 16) != 1)
    return 2;
  uint16_t sum = checksum(ip);
  ip[10] = sum >> 8;
  ip[11] = sum;
  ip[25] = FRAME - 34;
  for (int i = 0; i < BURST; i++) {
    memcpy(frames[i], first, FRAME);
    parts[i] = (struct iovec){frames[i], FRAME};
    messages[i].msg_hdr = (struct msghdr){.msg_name = &link,
                                          .msg_namelen = sizeof(link),
                                          .msg_iov = &parts[i],
                                          .msg_iovlen = 1};
  }
  double rate = atof(argv[6]), start = now(), end = start + atof(argv[7]);
  uint64_t sent = 0;
  for (double at = start; at < end; at = now()) {
    if (sent >= (at - start) * rate) {
      nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
      continue;
    }
    for (int i = 0; i < BURST; i++) {
      uint64_t n = sent + i;
      frames[i][34] = 4 + (n >> 8) % 250;
      frames[i][35] = n;
      frames[i][36] = n >> 16;
      frames[i][37] = 9;
    }
    int done = sendmmsg(fd, messages, BURST, 0);
    if (done > 0)
      sent += done;
  }
  printf("%llu\n", (unsigned long long)sent);
  return 0;
}
