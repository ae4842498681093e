"""Copies between devices: what the placement of a graph over several contexts puts on the edges that cross."""
from .elementwise import record
from .record import S

# Nobody's memory is taken over, and the output is no view: source and copy lie on different devices.
record("_CrossDeviceCopy", "The input, on another device. Which one is the graph's placement (``group2ctx``), not a "
       "parameter; the gradient is copied back.", ref=lambda xp, p, x: x.copy(), cpu="elementwise._copy",
       grad=lambda F, n, dy: F._CrossDeviceCopy(dy), samples=(S((2, 3)), S((4,))))
