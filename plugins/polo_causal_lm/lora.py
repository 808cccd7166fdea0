"""The one place that imports peft, which imports bitsandbytes wherever it is installed: see ``bits``."""

from __future__ import annotations

from importlib.util import find_spec

from polo_causal_lm.bits import bitsandbytes

if find_spec("bitsandbytes") is not None:
    bitsandbytes()

from peft import LoraConfig as LoraConfig
from peft import PeftModel as PeftModel
from peft import get_peft_model as get_peft_model
from peft import get_peft_model_state_dict as get_peft_model_state_dict
from peft import set_peft_model_state_dict as set_peft_model_state_dict
from peft.tuners import lora as _layers

LoraLinear = _layers.Linear
