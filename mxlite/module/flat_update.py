"""Parameters on GPUs updated by one launch a device: what the optimizer decides on the host, and its states in regions.

The CPU does not come here: there, :class:`~mxlite.optimizer.Updater` runs one kernel a parameter.
"""
from operator import is_

from ..ndarray import NDArray
from ..ops.record import RECORDS
from ..optimizer.flat import flat_rule, numbers
from ..optimizer.updater import Updater, map_arrays

_FLOATS = ("float32", "float64", "float16", "bfloat16")


class FlatStates:
    """The states of an :class:`~mxlite.optimizer.Updater`'s parameters, each array in a region, on every one of
    `contexts`.

    Those of the first device are what ``updater.states`` holds: ordinary NDArrays that may be read, written and
    replaced; what was written there reaches the other devices before the next update.
    """

    def __init__(self, contexts):
        self.contexts, self.at = contexts, {}       # at: index -> its state on each device
        self.spread = []                            # (indices, regions a device, versions of the first one's memory)

    @classmethod
    def of(cls, updater, contexts):
        """Those of `updater` on `contexts`: whoever borrows it shares them."""
        key = tuple(contexts)
        if key not in updater.flat_states:
            updater.flat_states[key] = cls(key)
        return updater.flat_states[key]

    def take(self, updater, index, weights):
        """Make the states that parameters `index` lack, and move into regions what is not there."""
        from ..gpu.regions import Regions
        states, moving, slots = updater.states, [], {}
        for i, weight in zip(index, weights):
            updater.make_state(i, weight)
            if i not in self.at or states[i] is not self.at[i][0]:
                moving.append(i)
        for i in moving:
            found = []
            map_arrays(states[i], NDArray, found.append)
            slots.update((id(array), (n, i, array)) for n, array in enumerate(found))
        # One kind of state after the other, each in the order of the weights.
        order = sorted(slots.values(), key=lambda slot: slot[0])
        parts = [((n, i), array.shape, array.dtype_name) for n, i, array in order]
        regions = [Regions(context, parts) for context in self.contexts]
        for n, i, array in order:
            regions[0].views[n, i].copy_from(array)
        for i in moving:
            self.at[i] = [map_arrays(states[i], NDArray, lambda array, r=r: r.views[slots[id(array)][:2]])
                          for r in regions]
            states[i] = self.at[i][0]
        gone = set(moving)
        self.spread = [(left, *rest) for held, *rest in self.spread if (left := held - gone)]
        if parts and len(regions) > 1:
            self._copy(gone, regions)

    def _copy(self, index, regions):
        """Copy the first device's regions to the others, and note them as seen."""
        first = regions[0].arrays
        for other in regions[1:]:
            for dtype, array in other.arrays.items():
                array.copy_from(first[dtype])
        self.spread.append((index, regions, [array.storage.version for array in first.values()]))

    def refresh(self):
        """Copy to the other devices what somebody has written into the first one's states."""
        for entry in list(self.spread):
            index, regions, seen = entry
            if [array.storage.version for array in regions[0].arrays.values()] != seen:
                self.spread.remove(entry)
                self._copy(index, regions)


class FlatUpdate:
    """``updater`` on parameters `index`: `weights` and `grads` are lists over `contexts`, GPUs, of lists of arrays in
    that order. Before each update :meth:`begin` says whether kernels can do it; then :meth:`run` starts them, or they
    are started with other work: ``tables`` are the :class:`~mxlite.gpu.many.ManyWeights` of the devices."""

    def __init__(self, updater, index, contexts, weights, grads):
        from ..gpu import get_device
        self.updater, self.index, self.contexts = updater, list(index), list(contexts)
        self.weights, self.grads = weights, grads
        self.devices = [get_device(context.device_id) for context in contexts]
        self.states = FlatStates.of(updater, contexts)
        self.held = None                # the states that the tables are made for
        self.form = self.tables = self.multipliers = self.now = self.before = None

    def begin(self):
        """Count this update and write its numbers into the devices' memory. False, with nothing counted, where the
        optimizer's own code has to run: it has no kernel, or its parameters were not updated equally often."""
        updater, optimizer, index = self.updater, self.updater.optimizer, self.index
        rule = flat_rule(optimizer)
        if rule is None or type(updater) is not Updater:
            return False
        optimizer._set_current_context(self.contexts[0].device_id)
        counts = optimizer._index_update_count
        before = set(map(counts.get, index))
        if len(before) != 1:
            return False
        form = rule, rule.form(optimizer), optimizer.multi_precision
        if self.held is None or form != self.form or not all(map(is_, map(updater.states.get, index), self.held)):
            self._build(rule, form)
        if self.tables is None:
            return False
        self.states.refresh()
        self.before = counts, before.pop(), optimizer.num_update
        count = (optimizer.begin_num_update if self.before[1] is None else self.before[1]) + 1
        counts.update(dict.fromkeys(index, count))
        optimizer.num_update = max(optimizer.num_update, count)
        self._write(optimizer, rule, count)
        return True

    def undo(self):
        """Take back what :meth:`begin` counted: the update did not happen."""
        counts, before, self.updater.optimizer.num_update = self.before
        for i in self.index:
            if before is None:
                counts.pop(i, None)
            else:
                counts[i] = before

    def _write(self, optimizer, rule, count):
        seen = self.multipliers
        if seen is None or optimizer.lr_mult != seen[0] or optimizer.wd_mult != seen[1] or optimizer.param_dict:
            rates = [[(optimizer._scale(i, "lr_mult"), optimizer._scale(i, "wd_mult")) for i in kind.index]
                     for kind in self.tables[0].kinds]
            for table in self.tables:
                table.set_rates(rates)
            self.multipliers = dict(optimizer.lr_mult), dict(optimizer.wd_mult)
        correction = 1.0 if rule.correction is None else rule.correction(optimizer, count)
        now = optimizer.learning_rate, correction, optimizer.wd, [[0.0, *numbers(optimizer, names)]
                                                                  for names in self.names]
        if now != self.now:
            for table in self.tables:
                table.set_now(*now)
            self.now = now

    def _build(self, rule, form):
        """The tables for the states as they are now; None where they are not what the kernels take."""
        from ..gpu.many import ManyWeights
        self.states.take(self.updater, self.index, self.weights[0])
        self.held = [self.updater.states[i] for i in self.index]
        self.form, self.tables, self.multipliers, self.now = form, None, None, None
        kinds = [self._kinds(rule, k) for k in range(len(self.contexts))]
        if any([one is None for one in kinds]):
            return
        self.names = [RECORDS[kind.step + "_update"].dynamic[1:] for kind in kinds[0]]
        self.tables = [ManyWeights(device, one) for device, one in zip(self.devices, kinds)]

    def _kinds(self, rule, k):
        """:class:`~mxlite.gpu.many.Kind` objects for device `k`."""
        from ..gpu.many import Kind
        optimizer, found = self.updater.optimizer, {}
        for i, weight, grad in zip(self.index, self.weights[k], self.grads[k]):
            mixed, dtype = optimizer._in_half(weight), weight.dtype_name
            try:
                step, states, wide = rule.parts(optimizer, self.states.at[i][k], mixed)
            except (TypeError, ValueError):         # states of another optimizer, or of another precision
                return None
            beside = "float32" if mixed else dtype
            if dtype not in _FLOATS or grad.dtype_name != dtype or not all([
                    isinstance(a, NDArray) and a.dtype_name == beside and a.shape == weight.shape
                    for a in (*states, *([wide] if mixed else []))]):
                return None
            kind = found.setdefault((step, dtype, mixed), Kind(step, dtype, mixed))
            kind.index.append(i)
            kind.weights.append((weight.size, weight.address, grad.address, [a.address for a in states],
                                 wide.address if mixed else 0))
        return list(found.values())

    def run(self):
        """Start the launches on all devices."""
        for table in self.tables:
            table.run()
