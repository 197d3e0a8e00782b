"""The photographs: VOC 2012, DeepCrack and CFD, ECSSD and DUTS, each behind the interface of `data.pairs`."""
