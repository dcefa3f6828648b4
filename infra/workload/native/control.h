/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: a line a question, `ID OP name=value ...`, and for each an answer in one line of JSON with that
 * id, as soon as it is known and in any order: {"id":7,"ok":true,"value":...} or {"id":7,"ok":false,"error":"..."}.
 *
 *     1 listen tcp=80,8080 udp=53 sctp=9 associations=10
 *     2 probe proto=tcp host=10.0.0.1 port=80 timeout=700 bytes=16 [local=4000] [source=10.0.0.2]
 *     3 probe proto=icmp host=10.0.0.1 timeout=700 bytes=56 [type=13 token=77]
 *     4 await token=77 timeout=700
 *     5 start name=a kind=hold proto=tcp host=10.0.0.1 port=80 count=25 tick_us=10000 stall=1000 bytes=16
 *     6 start name=b kind=open ... count=1 timeout=700 [at_link_up=1] [until_answered=1]
 *     7 report name=a
 *     8 stop name=a [drain=200]
 *     9 served
 *    10 frame interface=eth0 hex=0200000000010200000000020800...
 */
#pragma once

void control_listen(const char *path);
