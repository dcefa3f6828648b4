/* SPDX-License-Identifier: Apache-2.0 */
/* What a shell cannot do, for process.test.ts: acts ACT [ARGUMENT...]. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static char **rest;

static void *begin(void *unused)
{
	execv(rest[0], rest);
	_exit(99);
}

/* Another thread than the first begins the image; a third one is there to be ended by it. */
static int from_thread(void)
{
	pthread_t sleeper, beginner;

	pthread_create(&sleeper, NULL, (void *(*)(void *))pause, NULL);
	pthread_create(&beginner, NULL, begin, NULL);
	pthread_join(beginner, NULL);
	return 98;
}

/* An image without a place in any file system. */
static int from_memory(void)
{
	int from = open("/proc/self/exe", O_RDONLY), to = memfd_create("nowhere", MFD_CLOEXEC);
	char *arguments[] = {"inside", "exit", "7", NULL}, page[4096];
	ssize_t size;

	while ((size = read(from, page, sizeof(page))) > 0)
		if (write(to, page, size) != size)
			return 97;
	syscall(SYS_execveat, to, "", arguments, environ, AT_EMPTY_PATH);
	return 98;
}

/* An image whose file has lost its name. */
static int from_deleted(const char *path)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	char *arguments[] = {"gone", "exit", "8", NULL};

	if (unlink(path))
		return 97;
	syscall(SYS_execveat, file, "", arguments, environ, AT_EMPTY_PATH);
	return 98;
}

/* The first thread ends before the last one. */
static void *end_late(void *unused)
{
	usleep(50000);
	exit(5);
}

static int leader_first(void)
{
	pthread_t last;

	pthread_create(&last, NULL, end_late, NULL);
	pthread_exit(NULL);
}

/* A folder deeper than any path can say, and an image begun in it by its short name. */
static int deep(const char *top, int levels)
{
	char name[201];

	memset(name, 'd', 200);
	name[200] = 0;
	if (chdir(top))
		return 97;
	for (int i = 0; i < levels; i++) {
		if (mkdir(name, 0755) || chdir(name))
			return 96;
	}
	execl("/proc/self/exe", "deep", "exit", "0", NULL);
	return 98;
}

int main(int count, char **arguments)
{
	const char *act = count > 1 ? arguments[1] : "";

	rest = arguments + 2;
	if (!strcmp(act, "exit"))
		return atoi(rest[0]);
	if (!strcmp(act, "thread"))
		return from_thread();
	if (!strcmp(act, "memory"))
		return from_memory();
	if (!strcmp(act, "deleted"))
		return from_deleted(rest[0]);
	if (!strcmp(act, "leader"))
		return leader_first();
	if (!strcmp(act, "deep"))
		return deep(rest[0], atoi(rest[1]));
	if (!strcmp(act, "again")) {
		execl("/proc/self/exe", "second", "exit", "4", NULL);
		return 98;
	}
	return 1;
}
