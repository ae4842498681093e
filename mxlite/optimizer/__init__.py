"""Rules that turn gradients into new weights. ``mx.optimizer.create("adam", learning_rate=1e-3)`` finds one by name."""
from ..namespace import hinted as _hinted
from .adaptive import FTML, AdaDelta, AdaGrad, Adam, Adamax, Ftrl, Nadam, RMSProp
from .base import Optimizer
from .momentum import DCASGD, NAG, SGD, SGLD, Signum, Test, ccSGD
from .updater import Updater, get_updater

create = Optimizer.create_optimizer
register = Optimizer.register

__all__ = ["Optimizer", "SGD", "ccSGD", "NAG", "Signum", "SGLD", "DCASGD", "Adam", "AdaGrad", "AdaDelta", "RMSProp",
           "Ftrl", "FTML", "Adamax", "Nadam", "Test", "Updater", "get_updater", "create", "register"]

__getattr__ = _hinted(__name__)
