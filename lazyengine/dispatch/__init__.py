"""The dispatcher: what is on offer or due goes out, and what time has come for is done.

Theory of operation:

1. It holds no state: what there is to do stands in the database, and any number of dispatchers share it.  Killed at any
   time, it leaves nothing that another would not find (`db/sending.py`, `db/notifications.py`).
2. Each target that is configured has lanes (`lanes.py`): threads that take what is on offer to it, send it and note
   that it was sent.  So a destination that is down delays only its own rows.
3. Notifications go out in the same way, by their destination (`notifications.py`).
4. The main thread (`service.py`) fires what is due, carries on with what a crash has left, purges, and waits for the
   bell, which it passes on to the lanes.
5. What is sent is in doubt when its confirmation is lost, so it is sent again: at least once.  The attempt fences it.
"""
