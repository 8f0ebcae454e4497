// the login page: the place behind # comes along, over the form and its redirect.

document.forms[0].action = `login${location.hash}`;
