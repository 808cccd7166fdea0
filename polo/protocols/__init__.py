"""What each kind of component must offer, a file for each kind. The engine calls these and nothing else.

Structural types: a plugin does not inherit from them, it only has the same methods. Shapes: B rows in a pass, K drawn
negatives, n = 1 + K scored items (or the length of a candidate list). ``progress`` runs from 0 to 1 over a stage.
"""

from __future__ import annotations

from polo.protocols.auditing import Audit as Audit
from polo.protocols.auditing import Audited as Audited
from polo.protocols.auditing import Finding as Finding
from polo.protocols.auditing import Limited as Limited
from polo.protocols.auditing import OfLists as OfLists
from polo.protocols.average import Average as Average
from polo.protocols.base import Base as Base
from polo.protocols.base import NamedBase as NamedBase
from polo.protocols.data import DataSource as DataSource
from polo.protocols.encoding import Encoder as Encoder
from polo.protocols.encoding import InForward as InForward
from polo.protocols.encoding import Peers as Peers
from polo.protocols.encoding import Vectors as Vectors
from polo.protocols.evaluation import Applies as Applies
from polo.protocols.evaluation import Baseline as Baseline
from polo.protocols.evaluation import Evaluator as Evaluator
from polo.protocols.evaluation import Labelled as Labelled
from polo.protocols.evaluation import Totals as Totals
from polo.protocols.evaluation import Wanting as Wanting
from polo.protocols.launcher import Launcher as Launcher
from polo.protocols.launcher import Work as Work
from polo.protocols.optimiser import Grouped as Grouped
from polo.protocols.optimiser import Optimiser as Optimiser
from polo.protocols.optimiser import ParamGroup as ParamGroup
from polo.protocols.policy import Advises as Advises
from polo.protocols.policy import Based as Based
from polo.protocols.policy import DeclaresUnit as DeclaresUnit
from polo.protocols.policy import Drawn as Drawn
from polo.protocols.policy import DrawsItems as DrawsItems
from polo.protocols.policy import Embeds as Embeds
from polo.protocols.policy import ExtraLoss as ExtraLoss
from polo.protocols.policy import FillsParts as FillsParts
from polo.protocols.policy import Fits as Fits
from polo.protocols.policy import Foresees as Foresees
from polo.protocols.policy import HasFacts as HasFacts
from polo.protocols.policy import OnHost as OnHost
from polo.protocols.policy import Policy as Policy
from polo.protocols.policy import ReadsOwnTexts as ReadsOwnTexts
from polo.protocols.policy import ScoresMany as ScoresMany
from polo.protocols.policy import SharesForwards as SharesForwards
from polo.protocols.policy import Shortens as Shortens
from polo.protocols.policy import Spells as Spells
from polo.protocols.policy import Top as Top
from polo.protocols.policy import TopItems as TopItems
from polo.protocols.policy import Trouble as Trouble
from polo.protocols.policy import Writes as Writes
from polo.protocols.policy import advice_of as advice_of
from polo.protocols.ranking import Numbers as Numbers
from polo.protocols.ranking import Places as Places
from polo.protocols.ranking import Ranked as Ranked
from polo.protocols.scoring import Chooses as Chooses
from polo.protocols.scoring import Every as Every
from polo.protocols.scoring import Generates as Generates
from polo.protocols.scoring import InParts as InParts
from polo.protocols.scoring import RanksAll as RanksAll
from polo.protocols.scoring import Reports as Reports
from polo.protocols.scoring import Scorer as Scorer
from polo.protocols.scoring import Together as Together
from polo.protocols.tracker import Begins as Begins
from polo.protocols.tracker import Concludes as Concludes
from polo.protocols.tracker import Tracker as Tracker
from polo.protocols.training import AfterStep as AfterStep
from polo.protocols.training import AtZero as AtZero
from polo.protocols.training import BeforeStep as BeforeStep
from polo.protocols.training import Beta as Beta
from polo.protocols.training import Drawing as Drawing
from polo.protocols.training import Gift as Gift
from polo.protocols.training import Giving as Giving
from polo.protocols.training import Loss as Loss
from polo.protocols.training import Need as Need
from polo.protocols.training import Needing as Needing
from polo.protocols.training import Peek as Peek
from polo.protocols.training import PeekDraw as PeekDraw
from polo.protocols.training import PeekTop as PeekTop
from polo.protocols.training import Refresh as Refresh
from polo.protocols.training import Sampler as Sampler
from polo.protocols.training import Stateful as Stateful
from polo.protocols.training import gives_of as gives_of
from polo.protocols.training import needs_of as needs_of
