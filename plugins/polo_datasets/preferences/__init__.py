"""The data source ``preferences``: prompts with good and bad answers of their own, in the forms that the field uses."""
