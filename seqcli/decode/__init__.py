"""Decoding: functions over scores; they know no model class."""
