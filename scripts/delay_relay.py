"""Joins network namespaces by links with a delay and a rate, where the kernel has no netem.

    delay_relay.py DELAY_MS MEGABITS NAMESPACE...

Makes a TUN device `link0` in each namespace. A packet to 10.77.0.N goes to the N-th namespace, when its link has sent it
(one packet after the other, a link for each direction between two namespaces) and the delay is over.
"""

import ctypes
import fcntl
import heapq
import os
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001


def tun(namespace):
    """A TUN device in a namespace."""
    place = os.open(f"/var/run/netns/{namespace}", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(place, 0):
        raise OSError(ctypes.get_errno(), "setns")
    os.close(place)
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"link0", IFF_TUN_NO_PI))
    return device


def main():
    delay, megabits = float(sys.argv[1]) / 1000, float(sys.argv[2])
    devices = [tun(namespace) for namespace in sys.argv[3:]]
    # PR_SET_TIMERSLACK: a sleep is not to be longer than asked.
    ctypes.CDLL(None).prctl(29, 1, 0, 0, 0)
    print("ready", flush=True)
    free = {}
    waiting = []
    number = 0
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, device, packet = heapq.heappop(waiting)
            try:
                os.write(device, packet)
            except OSError:
                pass  # the device is down, or its queue is full: the network lost a packet
        rest = waiting[0][0] - time.monotonic() if waiting else None
        ready, _, _ = select.select(devices, [], [], rest if rest is None else max(rest, 0))
        for device in ready:
            while True:
                try:
                    packet = os.read(device, 65536)
                except BlockingIOError:
                    break
                to = packet[19] - 1
                if packet[0] >> 4 != 4 or packet[16:19] != b"\x0a\x4d\x00" or not 0 <= to < len(devices):
                    continue
                link = (device, to)
                sent = max(free.get(link, 0), time.monotonic()) + len(packet) * 8e-6 / megabits
                free[link] = sent
                number += 1
                heapq.heappush(waiting, (sent + delay, number, devices[to], packet))


main()
